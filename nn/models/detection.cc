#include "detection.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/clamp.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/exp.h"
#include "../../core/ops/index_select.h"
#include "../../core/ops/reshape.h"
#include "../losses/bce_with_logits.h"
#include "../losses/focal_loss.h"
#include "../losses/giou_loss.h"
#include "detector.h"

namespace sinter::nn {

namespace {

constexpr float kLevelSize = 28;  // pixels: the larger side of what the first level is for
constexpr float kRadius = 1.5;    // strides from a box's middle
constexpr double kLargest = 6;    // logarithm of a distance in strides: beyond any image
constexpr size_t kOutputs = 3;    // of a level

void check_outputs(std::span<const Tensor> outputs) {
  constexpr size_t kLevels = Detector::kStrides.size();
  check(outputs.size() == kOutputs * kLevels, "a detector has ", kOutputs * kLevels, " outputs, got ", outputs.size());
  for (size_t level = 0; level < kLevels; ++level) {
    const Tensor* of_level = &outputs[kOutputs * level];
    for (const int64_t k : {0, 1, 2})
      check(of_level[k].defined() && of_level[k].dtype() == DType::float32 && of_level[k].rank() == 4 &&
                of_level[k].shape() ==
                    of_level[0].shape().with(3, std::array{of_level[0].size(3), int64_t{4}, int64_t{1}}[k]),
            "a detector's output ", kOutputs * level + static_cast<size_t>(k), " is ",
            of_level[k].defined() ? to_string(of_level[k].spec()) : "undefined",
            ", expected float32 [N,H,W,C] with the classes, 4, and 1 channels");
  }
}

// What the places that belong to something should say.
struct Targets {
  std::vector<float> classes;     // [P,C]: 1 for the class of a place
  std::vector<int64_t> positive;  // indices of places
  std::vector<float> at, boxes;   // of the positive ones: the place four times, as (x,y,x,y), and the box, [K,4]
  std::vector<float> strides;     // [K,4], negative for left and top
  std::vector<float> centres;     // [K,1]
};

struct Level {
  int64_t images, height, width;
  float stride;
};

void add_targets(const Level& level, size_t index, int64_t classes, int64_t first, const std::vector<Tensor>& boxes,
                 const std::vector<Tensor>& labels, Targets& targets) {
  for (int64_t image = 0; image < level.images; ++image) {
    const auto box_values = boxes[static_cast<size_t>(image)].values<float>();
    const auto label_values = labels[static_cast<size_t>(image)].values<int64_t>();
    for (int64_t y = 0; y < level.height; ++y)
      for (int64_t x = 0; x < level.width; ++x) {
        const float px = (static_cast<float>(x) + 0.5f) * level.stride,
                    py = (static_cast<float>(y) + 0.5f) * level.stride;
        const float* best = nullptr;
        float best_area = 0;
        int64_t label = 0;
        for (size_t k = 0; k < label_values.size(); ++k) {
          const float* b = box_values.data() + 4 * k;
          const float w = b[2] - b[0], h = b[3] - b[1];
          if ((std::max(w, h) <= kLevelSize) != (index == 0)) continue;
          if (px <= b[0] || px >= b[2] || py <= b[1] || py >= b[3]) continue;
          if (std::abs(px - (b[0] + b[2]) / 2) > kRadius * level.stride ||
              std::abs(py - (b[1] + b[3]) / 2) > kRadius * level.stride)
            continue;
          if (best != nullptr && w * h >= best_area) continue;
          best = b, best_area = w * h, label = label_values[k];
        }
        if (best == nullptr) continue;
        const int64_t place = first + (image * level.height + y) * level.width + x;
        check(label >= 0 && label < classes, "detection_loss: a label is ", label, ", expected 0..", classes - 1);
        targets.classes[static_cast<size_t>(place * classes + label)] = 1;
        targets.positive.push_back(place);
        for (const float v : {px, py, px, py}) targets.at.push_back(v);
        for (const float sign : {-1.0f, -1.0f, 1.0f, 1.0f}) targets.strides.push_back(sign * level.stride);
        targets.boxes.insert(targets.boxes.end(), best, best + 4);
        const float l = px - best[0], t = py - best[1], r = best[2] - px, b = best[3] - py;
        targets.centres.push_back(std::sqrt(std::min(l, r) / std::max(l, r) * (std::min(t, b) / std::max(t, b))));
      }
  }
}

}  // namespace

double logit(double probability) { return std::log(probability / (1 - probability)); }

Tensor detection_loss(std::span<const Tensor> outputs, const std::vector<Tensor>& boxes,
                      const std::vector<Tensor>& labels) {
  check_outputs(outputs);
  const int64_t images = outputs[0].size(0), classes = outputs[0].size(3);
  check(static_cast<int64_t>(boxes.size()) == images && labels.size() == boxes.size(), "detection_loss: there are ",
        images, " images, boxes of ", boxes.size(), " and labels of ", labels.size());
  for (size_t i = 0; i < boxes.size(); ++i)
    check(boxes[i].dtype() == DType::float32 && labels[i].dtype() == DType::int64 && labels[i].rank() == 1 &&
              boxes[i].shape() == Shape{labels[i].size(0), 4},
          "detection_loss: image ", i, " has boxes ", boxes[i].spec(), " and labels ", labels[i].spec(),
          ", expected float32 [n,4] and int64 [n]");
  Targets targets;
  int64_t places = 0;
  std::array<std::vector<Tensor>, kOutputs> parts;
  for (size_t level = 0; level < Detector::kStrides.size(); ++level) {
    const Tensor* of_level = &outputs[kOutputs * level];
    const Shape& shape = of_level[0].shape();
    const int64_t first = places;
    places += shape[0] * shape[1] * shape[2];
    targets.classes.resize(static_cast<size_t>(places * classes));
    add_targets({shape[0], shape[1], shape[2], static_cast<float>(Detector::kStrides[level])}, level, classes, first,
                boxes, labels, targets);
    for (size_t k = 0; k < kOutputs; ++k) parts[k].push_back(reshape(of_level[k], {-1, of_level[k].size(3)}));
  }
  const Tensor logits = concat(parts[0], 0);
  const auto count = static_cast<int64_t>(targets.positive.size());
  const float each = 1 / static_cast<float>(std::max<int64_t>(count, 1));
  Tensor loss = focal_loss(logits, Tensor::from({places, classes}, targets.classes), {.reduction = "sum"}) * each;
  if (count == 0) return loss;
  const Tensor positive = Tensor::from({count}, targets.positive);
  const Tensor distances = exp(clamp(index_select(concat(parts[1], 0), positive), {.min = -kLargest, .max = kLargest}));
  const Tensor seen = Tensor::from({count, 4}, targets.at) + distances * Tensor::from({count, 4}, targets.strides);
  loss = loss + giou_loss(seen, Tensor::from({count, 4}, targets.boxes));
  return loss + bce_with_logits(index_select(concat(parts[2], 0), positive), Tensor::from({count, 1}, targets.centres));
}

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Candidate {
  Detection detection;
  std::array<int64_t, 4> box;  // sixteenths of a pixel
};

int64_t area(const std::array<int64_t, 4>& box) {
  return std::max<int64_t>(0, box[2] - box[0]) * std::max<int64_t>(0, box[3] - box[1]);
}

bool overlap(const Candidate& a, const Candidate& b, int64_t thousandths) {
  const std::array<int64_t, 4> both{std::max(a.box[0], b.box[0]), std::max(a.box[1], b.box[1]),
                                    std::min(a.box[2], b.box[2]), std::min(a.box[3], b.box[3])};
  const int64_t common = area(both);
  return 1000 * common > thousandths * (area(a.box) + area(b.box) - common);
}

}  // namespace

std::vector<Detection> decode(std::span<const DetectionLevel> levels, const DecodeOptions& options) {
  check(levels.size() == Detector::kStrides.size(), "decode: got ", levels.size(), " levels, expected ",
        Detector::kStrides.size());
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < levels.size(); ++i) {
    const DetectionLevel& level = levels[i];
    const auto stride = static_cast<double>(Detector::kStrides[i]);
    const int64_t classes = level.classes[3], width = level.classes[2], height = level.classes[1];
    for (const int64_t element : level.survivors) {
      const int64_t place = element / classes;
      const double x = (static_cast<double>(place % width) + 0.5) * stride,
                   y = (static_cast<double>(place / width % height) + 0.5) * stride;
      const auto distance = [&](int64_t k) {
        return stride * std::exp(std::clamp(static_cast<double>(level.box(4 * place + k)), -kLargest, kLargest));
      };
      Candidate c{{.image = place / (width * height),
                   .label = element % classes,
                   .score = std::sqrt(sigmoid(level.logit(element)) * sigmoid(level.centre(place)))},
                  {}};
      const std::array<double, 4> box{x - distance(0), y - distance(1), x + distance(2), y + distance(3)};
      for (size_t k = 0; k < 4; ++k) {
        c.box[k] = std::llround(16 * box[k]);
        c.detection.box[k] = static_cast<float>(c.box[k]) / 16;
      }
      candidates.push_back(c);
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.detection.image != b.detection.image) return a.detection.image < b.detection.image;
    return a.detection.score > b.detection.score;
  });
  const int64_t thousandths = std::llround(1000 * options.iou);
  std::vector<Candidate> kept;
  size_t first = 0;  // of the image
  for (const Candidate& c : candidates) {
    if (first < kept.size() && kept[first].detection.image != c.detection.image) first = kept.size();
    if (static_cast<int64_t>(kept.size() - first) >= options.most) continue;
    if (std::none_of(kept.begin() + static_cast<std::ptrdiff_t>(first), kept.end(), [&](const Candidate& k) {
          return k.detection.label == c.detection.label && overlap(k, c, thousandths);
        }))
      kept.push_back(c);
  }
  std::vector<Detection> result;
  for (const Candidate& c : kept) result.push_back(c.detection);
  return result;
}

std::vector<Detection> decode(std::span<const Tensor> outputs, const DecodeOptions& options) {
  check_outputs(outputs);
  const auto threshold = static_cast<float>(logit(options.score));
  std::vector<DetectionLevel> levels;
  for (size_t i = 0; i < outputs.size(); i += kOutputs) {
    const auto reader = [](const Tensor& t) { return [values = t.data<float>()](int64_t k) { return values[k]; }; };
    DetectionLevel level{outputs[i].shape(), {}, reader(outputs[i]), reader(outputs[i + 1]), reader(outputs[i + 2])};
    const auto logits = outputs[i].values<float>();
    for (size_t k = 0; k < logits.size(); ++k)
      if (logits[k] >= threshold) level.survivors.push_back(static_cast<int64_t>(k));
    levels.push_back(std::move(level));
  }
  return decode(std::span<const DetectionLevel>(levels), options);
}

}  // namespace sinter::nn
