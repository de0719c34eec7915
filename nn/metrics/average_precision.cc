#include "average_precision.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "../../data/inputs.h"

namespace sinter::nn {

namespace {

using Box = AveragePrecision::Box;

constexpr size_t kThresholds = 10, kRecalls = 101;

double threshold(size_t i) { return 0.5 + 0.05 * static_cast<double>(i); }

// Over the detection alone where the box is ignored.
double overlap(const Box& found, const Box& there) {
  const auto area = [](const Box& b) { return static_cast<double>(b.x2 - b.x1) * static_cast<double>(b.y2 - b.y1); };
  const double width =
      static_cast<double>(std::min(found.x2, there.x2)) - static_cast<double>(std::max(found.x1, there.x1));
  const double height =
      static_cast<double>(std::min(found.y2, there.y2)) - static_cast<double>(std::max(found.y1, there.y1));
  if (width <= 0 || height <= 0) return 0;
  const double both = width * height;
  return both / (there.ignored ? area(found) : area(found) + area(there) - both);
}

// What became of a detection, by threshold.
struct Judged {
  float score;
  std::array<bool, kThresholds> right{}, ignored{};
};

// As COCO's evaluateImg: detections by falling score each take the free box that they overlap most, an ignored one only
// where there is no other.
void judge(const std::vector<Box>& found, const std::vector<Box>& there, std::vector<Judged>& all) {
  const size_t first = all.size();
  for (const Box& box : found) all.push_back({.score = box.score});
  std::vector<double> overlaps(found.size() * there.size());
  for (size_t d = 0; d < found.size(); ++d)
    for (size_t g = 0; g < there.size(); ++g) overlaps[d * there.size() + g] = overlap(found[d], there[g]);
  for (size_t t = 0; t < kThresholds; ++t) {
    std::vector<bool> taken(there.size());
    for (size_t d = 0; d < found.size(); ++d) {
      double best = std::min(threshold(t), 1 - 1e-10);
      std::ptrdiff_t match = -1;
      for (size_t g = 0; g < there.size(); ++g) {  // ignored ones are last
        if (taken[g] && !there[g].ignored) continue;
        if (match >= 0 && !there[static_cast<size_t>(match)].ignored && there[g].ignored) break;
        if (overlaps[d * there.size() + g] < best) continue;
        best = overlaps[d * there.size() + g];
        match = static_cast<std::ptrdiff_t>(g);
      }
      if (match < 0) continue;
      const auto g = static_cast<size_t>(match);
      taken[g] = true;
      (there[g].ignored ? all[first + d].ignored : all[first + d].right)[t] = true;
    }
  }
}

// The mean precision at 101 recalls, of detections by falling score.
double average(const std::vector<Judged>& judged, size_t t, int64_t boxes) {
  std::vector<double> recall, precision;
  double right = 0, wrong = 0;
  for (const Judged& one : judged) {
    if (one.ignored[t]) continue;
    (one.right[t] ? right : wrong) += 1;
    recall.push_back(right / static_cast<double>(boxes));
    precision.push_back(right / (right + wrong));
  }
  for (size_t i = precision.size(); i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);
  double sum = 0;
  for (size_t i = 0; i < kRecalls; ++i) {
    const double wanted = static_cast<double>(i) * 0.01;
    const auto at = std::lower_bound(recall.begin(), recall.end(), wanted) - recall.begin();
    if (at < std::ssize(precision)) sum += precision[static_cast<size_t>(at)];
  }
  return sum / static_cast<double>(kRecalls);
}

void check_list(bool ok, const std::string& what, const Tensor& tensor, const char* expected) {
  check(ok, "average precision: ", what, " are ", tensor.defined() ? to_string(tensor.spec()) : std::string("missing"),
        ", expected ", expected);
}

std::vector<Box> boxes_of(const Tensor& boxes, const Tensor& classes, const std::string& what) {
  check_list(boxes.defined() && boxes.dtype() == DType::float32 && boxes.rank() == 2 && boxes.size(1) == 4, what, boxes,
             "float32 [n,4]");
  check_list(classes.defined() && classes.spec() == Spec{DType::int64, {boxes.size(0)}}, "classes of " + what, classes,
             "int64, one for each box");
  std::vector<Box> all;
  for (int64_t i = 0; i < boxes.size(0); ++i) {
    const float* b = boxes.data<float>() + 4 * i;
    const int64_t cls = classes.data<int64_t>()[i];
    check(cls >= 0, "average precision: a class among ", what, " is ", cls);
    all.push_back({b[0], b[1], b[2], b[3], cls, 0, false});
  }
  return all;
}

}  // namespace

AveragePrecision::AveragePrecision(AveragePrecisionOptions options) : options_(std::move(options)) {
  check(options_.decode != nullptr,
        "average precision: `.decode` is missing: a function from (outputs, batch) to the Detections of every image");
  check(options_.max_detections >= 1, "average precision: max_detections is ", options_.max_detections,
        ", expected at least 1");
}

void AveragePrecision::reset() { images_.clear(); }

void AveragePrecision::add(const Outputs& outputs, const data::Batch& batch) {
  const std::vector<Detections> found = options_.decode(outputs, batch);
  const auto &boxes = batch.list(options_.boxes), &classes = batch.list(options_.classes);
  check(found.size() == boxes.size(), "average precision: decode gave detections of ", found.size(),
        " images, there are ", boxes.size());
  const auto ignored = batch.lists.find(options_.ignored);
  for (size_t n = 0; n < boxes.size(); ++n) {
    Image image{boxes_of(found[n].boxes, found[n].classes, "detections"),
                boxes_of(boxes[n], classes[n], options_.boxes)};
    const Tensor& scores = found[n].scores;
    check_list(scores.defined() && scores.spec() == Spec{DType::float32, {found[n].boxes.size(0)}}, "scores", scores,
               "float32, one for each box");
    for (size_t i = 0; i < image.found.size(); ++i) {
      image.found[i].score = scores.data<float>()[i];
      check(!std::isnan(image.found[i].score), "average precision: a score is NaN");
    }
    if (ignored != batch.lists.end()) {
      const Tensor& flags = ignored->second[n];
      check_list(flags.defined() && flags.shape() == Shape{boxes[n].size(0)}, options_.ignored, flags,
                 "one number for each box");
      const Tensor numbers = flags.to(DType::int64);
      for (size_t i = 0; i < image.there.size(); ++i) image.there[i].ignored = numbers.data<int64_t>()[i] != 0;
    }
    images_.push_back(std::move(image));
  }
}

Measured AveragePrecision::measured() const {
  int64_t classes = 0;
  for (const Image& image : images_)
    for (const Box& box : image.there) classes = std::max(classes, box.cls + 1);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::array<double, kThresholds> sums{};
  int64_t occurring = 0;
  std::vector<float> at50, over_all;
  for (int64_t c = 0; c < classes; ++c) {
    std::vector<Judged> judged;
    int64_t boxes = 0;
    for (const Image& image : images_) {
      const auto of_class = [c](const Box& box) { return box.cls == c; };
      std::vector<Box> found, there;
      std::copy_if(image.found.begin(), image.found.end(), std::back_inserter(found), of_class);
      std::copy_if(image.there.begin(), image.there.end(), std::back_inserter(there), of_class);
      std::stable_sort(found.begin(), found.end(), [](const Box& a, const Box& b) { return a.score > b.score; });
      if (std::ssize(found) > options_.max_detections)
        found.erase(found.begin() + static_cast<std::ptrdiff_t>(options_.max_detections), found.end());
      std::stable_partition(there.begin(), there.end(), [](const Box& box) { return !box.ignored; });
      boxes += std::count_if(there.begin(), there.end(), [](const Box& box) { return !box.ignored; });
      judge(found, there, judged);
    }
    if (boxes == 0) {
      at50.push_back(static_cast<float>(kNone));
      over_all.push_back(static_cast<float>(kNone));
      continue;
    }
    std::stable_sort(judged.begin(), judged.end(), [](const Judged& a, const Judged& b) { return a.score > b.score; });
    double sum = 0;
    for (size_t t = 0; t < kThresholds; ++t) {
      const double value = average(judged, t, boxes);
      sums[t] += value;
      sum += value;
      if (t == 0) at50.push_back(static_cast<float>(value));
    }
    over_all.push_back(static_cast<float>(sum / kThresholds));
    ++occurring;
  }
  const auto mean = [&](double sum) { return occurring == 0 ? kNone : sum / static_cast<double>(occurring); };
  double all = 0;
  for (const double sum : sums) all += sum;
  Measured found;
  const std::string& name = options_.name;
  found.numbers = {
      {name + "ap50", mean(sums[0])}, {name + "ap75", mean(sums[5])}, {name + "ap", mean(all / kThresholds)}};
  found.tables.emplace(name + "ap50_per_class", Tensor::from<float>({classes}, at50));
  found.tables.emplace(name + "ap_per_class", Tensor::from<float>({classes}, over_all));
  return found;
}

}  // namespace sinter::nn
