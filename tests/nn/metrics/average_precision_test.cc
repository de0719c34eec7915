#include "../../../nn/metrics/average_precision.h"

#include <algorithm>
#include <cmath>

#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;
using doctest::Approx;

namespace {

struct One {
  double x1, y1, x2, y2;
  int64_t cls;
  double score;
};
using Boxes = std::vector<std::vector<One>>;  // by image

Tensor tensor_of(const std::vector<One>& boxes) {
  Tensor t = Tensor::empty({std::ssize(boxes), 4});
  for (size_t i = 0; i < boxes.size(); ++i) {
    float* v = t.mutable_data<float>() + 4 * i;
    v[0] = static_cast<float>(boxes[i].x1);
    v[1] = static_cast<float>(boxes[i].y1);
    v[2] = static_cast<float>(boxes[i].x2);
    v[3] = static_cast<float>(boxes[i].y2);
  }
  return t;
}
Tensor classes_of(const std::vector<One>& boxes) {
  std::vector<int64_t> all;
  for (const One& b : boxes) all.push_back(b.cls);
  return Tensor::from<int64_t>({std::ssize(boxes)}, all);
}
Tensor scores_of(const std::vector<One>& boxes) {
  std::vector<float> all;
  for (const One& b : boxes) all.push_back(static_cast<float>(b.score));
  return Tensor::from<float>({std::ssize(boxes)}, all);
}

// The images in batches of two.
nn::Measured measure(const Boxes& found, const Boxes& there, int64_t max_detections = 100,
                     const std::vector<std::vector<int64_t>>& crowd = {}) {
  size_t first = 0;
  nn::AveragePrecision metric{
      {.decode =
           [&](const nn::Outputs&, const data::Batch& batch) {
             std::vector<nn::Detections> all;
             for (size_t i = 0; i < batch.list("boxes").size(); ++i)
               all.push_back({tensor_of(found[first + i]), scores_of(found[first + i]), classes_of(found[first + i])});
             return all;
           },
       .max_detections = max_detections}};
  for (; first < there.size(); first += 2) {
    data::Batch batch;
    for (size_t i = first; i < std::min(first + 2, there.size()); ++i) {
      batch.lists["boxes"].push_back(tensor_of(there[i]));
      batch.lists["classes"].push_back(classes_of(there[i]));
      if (!crowd.empty()) batch.lists["box_crowd"].push_back(Tensor::from<int64_t>({std::ssize(crowd[i])}, crowd[i]));
    }
    metric.add(nn::Outputs({}), batch);
  }
  return metric.measured();
}

double iou(const One& a, const One& b) {
  const double w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (w <= 0 || h <= 0) return 0;
  return w * h / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - w * h);
}

// By the definition: for every recall the largest precision that any cut with at least that recall has.
double plain(const Boxes& found, const Boxes& there, double threshold, int64_t classes) {
  double sum = 0;
  int64_t with_boxes = 0;
  for (int64_t c = 0; c < classes; ++c) {
    struct Hit {
      double score;
      bool right;
    };
    std::vector<Hit> hits;
    double boxes = 0;
    for (size_t n = 0; n < there.size(); ++n) {
      std::vector<One> mine;
      for (const One& b : found[n])
        if (b.cls == c) mine.push_back(b);
      std::stable_sort(mine.begin(), mine.end(), [](const One& a, const One& b) { return a.score > b.score; });
      std::vector<One> left;
      for (const One& b : there[n])
        if (b.cls == c) left.push_back(b);
      boxes += static_cast<double>(left.size());
      for (const One& b : mine) {
        size_t best = left.size();
        for (size_t g = 0; g < left.size(); ++g)
          if (iou(b, left[g]) >= threshold && (best == left.size() || iou(b, left[g]) >= iou(b, left[best]))) best = g;
        hits.push_back({b.score, best < left.size()});
        if (best < left.size()) left.erase(left.begin() + static_cast<std::ptrdiff_t>(best));
      }
    }
    if (boxes == 0) continue;
    ++with_boxes;
    std::stable_sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.score > b.score; });
    for (int r = 0; r <= 100; ++r) {
      double best = 0, right = 0;
      for (size_t k = 0; k < hits.size(); ++k) {
        right += hits[k].right;
        if (right / boxes >= r * 0.01) best = std::max(best, right / static_cast<double>(k + 1));
      }
      sum += best / 101;
    }
  }
  return sum / static_cast<double>(with_boxes);
}

}  // namespace

TEST_CASE("average precision is that of the definition, for random boxes of several classes") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Boxes found(5), there(5);
    for (size_t n = 0; n < 5; ++n) {
      const int64_t count = random.below(6);
      for (int64_t i = 0; i < count; ++i) {
        const double x = random.uniform() * 20, y = random.uniform() * 20;
        const One box{std::floor(x), std::floor(y), std::floor(x) + 10, std::floor(y) + 8, random.below(3), 0};
        there[n].push_back(box);
        for (int64_t k = random.below(3); k > 0; --k) {  // near it, or of another class, or twice
          One near = box;
          near.x1 += static_cast<double>(random.below(4));
          near.y2 += static_cast<double>(random.below(3));
          if (random.below(5) == 0) near.cls = random.below(3);
          near.score = static_cast<double>(random.below(16)) / 16;  // often equal
          found[n].push_back(near);
        }
      }
      if (random.below(2) == 0) found[n].push_back({1, 1, 9, 9, random.below(4), 0.5});
    }
    there[0].push_back({0, 0, 5, 5, 0, 0});
    const nn::Measured m = measure(found, there);
    CHECK(m.numbers.at("ap50") == Approx(plain(found, there, 0.5, 3)));
    CHECK(m.numbers.at("ap75") == Approx(plain(found, there, 0.75, 3)));
    double mean = 0;
    for (int t = 0; t < 10; ++t) mean += plain(found, there, 0.5 + 0.05 * t, 3) / 10;
    CHECK(m.numbers.at("ap") == Approx(mean));
  }
}

TEST_CASE("average precision in simple cases") {
  const One box{0, 0, 10, 10, 0, 0.9};
  CHECK(measure({{box}}, {{box}}).numbers.at("ap") == Approx(1));
  CHECK(measure({{}}, {{box}}).numbers.at("ap") == 0);         // nothing was found
  CHECK(std::isnan(measure({{box}}, {{}}).numbers.at("ap")));  // there was nothing
  CHECK(std::isnan(measure({}, {}).numbers.at("ap50")));
  // An IoU of 0.6: right up to 0.6, three of the ten thresholds.
  CHECK(measure({{{0, 0, 10, 6, 0, 1}}}, {{box}}).numbers.at("ap") == Approx(0.3));
  // One of two boxes, with the same one found twice: precision 1 up to recall 0.5, 51 of 101 points.
  const One other{50, 50, 60, 60, 0, 0};
  CHECK(measure({{box, box}}, {{box, other}}).numbers.at("ap50") == Approx(51.0 / 101));
  // A wrong one before the right one halves it; not where only one an image counts.
  const One wrong{80, 80, 90, 90, 0, 0.95};
  CHECK(measure({{box, wrong}}, {{box}}).numbers.at("ap50") == Approx(0.5));
  CHECK(measure({{box, wrong}}, {{box}}, 1).numbers.at("ap50") == 0);
  // A class without boxes does not count, one without detections does.
  const One cat{0, 0, 10, 10, 2, 1};
  const nn::Measured m = measure({{box, {0, 0, 9, 9, 1, 1}}}, {{box, cat}});
  CHECK(m.numbers.at("ap50") == Approx(0.5));
  CHECK(std::isnan(m.tables.at("ap50_per_class").at({1})));
  CHECK(m.tables.at("ap50_per_class").at({2}) == 0);
}

TEST_CASE("an ignored box takes detections out of the count") {
  const One box{0, 0, 10, 10, 0, 0.5}, crowd{40, 40, 80, 80, 0, 0};
  const One in1{41, 41, 50, 50, 0, 0.9}, in2{60, 60, 70, 70, 0, 0.8};
  CHECK(measure({{box, in1, in2}}, {{crowd, box}}, 100, {{1, 0}}).numbers.at("ap") == Approx(1));
  CHECK(measure({{box, in1, in2}}, {{crowd, box}}, 100, {{0, 0}}).numbers.at("ap") < 0.3);
}

TEST_CASE("average precision refuses what are no detections") {
  CHECK_ERROR(nn::AveragePrecision({}), "`.decode` is missing");
  data::Batch batch;
  batch.lists["boxes"] = {Tensor::zeros({1, 4})};
  batch.lists["classes"] = {Tensor::zeros({1}, DType::int64)};
  const auto with = [&](nn::Detections d) {
    nn::AveragePrecision metric{
        {.decode = [=](const nn::Outputs&, const data::Batch&) { return std::vector<nn::Detections>{d}; }}};
    metric.add(nn::Outputs({}), batch);
  };
  const Tensor box = Tensor::zeros({1, 4}), cls = Tensor::zeros({1}, DType::int64);
  CHECK_ERROR(with({Tensor::zeros({4}), Tensor::zeros({1}), cls}),
              "detections are float32 [4], expected float32 [n,4]");
  CHECK_ERROR(with({box, Tensor::zeros({2}), cls}), "scores are float32 [2]");
  CHECK_ERROR(with({box, Tensor::full({1}, NAN), cls}), "a score is NaN");
  batch.lists["boxes"].push_back(box);
  batch.lists["classes"].push_back(cls);
  CHECK_ERROR(with({box, Tensor::zeros({1}), cls}), "decode gave detections of 1 images, there are 2");
}
