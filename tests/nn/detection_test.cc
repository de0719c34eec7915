#include "../../nn/models/detection.h"

#include <doctest/doctest.h>

#include <cmath>

#include "../../core/random.h"
#include "../../nn/models/detector.h"
#include "../../nn/optim/adamw.h"
#include "../support.h"

using namespace sinter;

namespace {

// What a detector would give for 32x32 pixels and two classes where it sees nothing.
std::vector<Tensor> nothing(int64_t images = 1) {
  std::vector<Tensor> outputs;
  for (const int64_t side : {8, 4})
    for (const int64_t channels : {2, 4, 1})
      outputs.push_back(Tensor::full({images, side, side, channels}, channels == 2 ? -9 : 0));
  return outputs;
}

void set(Tensor& t, std::initializer_list<int64_t> index, double value) {
  int64_t offset = 0;
  int axis = 0;
  for (const int64_t i : index) offset = offset * t.size(axis++) + i;
  t.mutable_data<float>()[offset] = static_cast<float>(value);
}

// Makes place (y,x) of a level say that it sees a box, with the logit of its class.
void see(std::vector<Tensor>& outputs, size_t level, int64_t image, int64_t y, int64_t x, int64_t label, double logit,
         const std::array<double, 4>& box) {
  const auto stride = static_cast<double>(nn::Detector::kStrides[level]);
  const double px = (static_cast<double>(x) + 0.5) * stride, py = (static_cast<double>(y) + 0.5) * stride;
  set(outputs[3 * level], {image, y, x, label}, logit);
  set(outputs[3 * level + 2], {image, y, x, 0}, 9);
  const std::array<double, 4> distances{px - box[0], py - box[1], box[2] - px, box[3] - py};
  for (int64_t k = 0; k < 4; ++k)
    set(outputs[3 * level + 1], {image, y, x, k}, std::log(distances[static_cast<size_t>(k)] / stride));
}

}  // namespace

TEST_CASE("a detector gives classes, boxes and centres of two levels, from one head") {
  manual_seed(1);
  const nn::Detector net({.classes = 3, .channels = 4});
  const nn::Results y = net({Tensor::zeros({2, 32, 16, 1})});
  REQUIRE(y.size() == 6);
  for (size_t level = 0; level < 2; ++level) {
    const int64_t h = level == 0 ? 8 : 4;
    CHECK(y[3 * level].shape() == Shape{2, h, h / 2, 3});
    CHECK(y[3 * level + 1].shape() == Shape{2, h, h / 2, 4});
    CHECK(y[3 * level + 2].shape() == Shape{2, h, h / 2, 1});
  }
  CHECK(trace(net, Specs{{DType::float32, {2, 32, 16, 1}}}).outputs.size() == 6);
  CHECK_THROWS_AS(net({Tensor::zeros({1, 12, 16, 1})}), Error);
}

TEST_CASE("boxes are read from where a class is likely, the best of those that overlap") {
  std::vector<Tensor> outputs = nothing(2);
  see(outputs, 0, 1, 3, 3, 1, 3, {4, 6, 22, 24});
  see(outputs, 0, 1, 3, 4, 1, 2, {5, 6, 22, 24});  // nearly the same
  see(outputs, 1, 1, 1, 1, 0, 1, {4, 6, 22, 24});  // of another class
  see(outputs, 1, 0, 2, 2, 1, 4, {1, 2, 31, 30.5});
  see(outputs, 0, 0, 0, 0, 0, -4, {1, 1, 9, 9});  // unlikely
  const auto found = nn::decode(outputs);
  REQUIRE(found.size() == 3);
  CHECK(found[0].image == 0);
  CHECK(found[0].label == 1);
  CHECK(found[0].box == std::array{1.0f, 2.0f, 31.0f, 30.5f});
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(found[0].score == doctest::Approx(std::sqrt(sigmoid(4) * sigmoid(9))));
  CHECK(found[1].image == 1);
  CHECK(found[1].label == 1);
  CHECK(found[1].box == std::array{4.0f, 6.0f, 22.0f, 24.0f});
  CHECK(found[2].label == 0);
  CHECK(nn::decode(outputs, {.score = 0.01}).size() == 4);
  CHECK(nn::decode(outputs, {.iou = 0.99}).size() == 4);
  CHECK(nn::decode(outputs, {.most = 1}).size() == 2);
  CHECK(nn::decode(nothing()).empty());
  CHECK_THROWS_AS(nn::decode(std::vector<Tensor>(outputs.begin(), outputs.begin() + 3)), Error);
}

TEST_CASE("the loss is small where all is right, and has a part for each output") {
  const std::vector<Tensor> boxes{Tensor::from({1, 4}, {4, 4, 20, 20})}, labels{Tensor::full({1}, 1, DType::int64)};
  std::vector<Tensor> outputs = nothing();
  // A place belongs to the box within 1.5 strides of its middle, (12,12): 4, 5 or more to the left are 2 to 3 places.
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) {
      const double px = 4 * static_cast<double>(x) + 2, py = 4 * static_cast<double>(y) + 2;
      if (std::abs(px - 12) > 6 || std::abs(py - 12) > 6) continue;
      see(outputs, 0, 0, y, x, 1, 9, {4, 4, 20, 20});
      const double l = px - 4, r = 20 - px, t = py - 4, b = 20 - py;
      const double centre = std::sqrt(std::min(l, r) / std::max(l, r) * std::min(t, b) / std::max(t, b));
      set(outputs[2], {0, y, x, 0}, centre > 0.999 ? 9 : std::log(centre / (1 - centre)));
    }
  const float right = nn::detection_loss(outputs, boxes, labels).item();
  CHECK(right > 0);  // cross-entropy with centres between 0 and 1 is
  CHECK(right < 0.7f);
  const auto worse = [&](size_t output, std::initializer_list<int64_t> index, double value) {
    std::vector<Tensor> changed;
    for (const Tensor& t : outputs) changed.push_back(t.clone());
    set(changed[output], index, value);
    return nn::detection_loss(changed, boxes, labels).item() - right;
  };
  CHECK(worse(0, {0, 2, 2, 1}, -3) > 0.01f);
  CHECK(worse(0, {0, 7, 7, 0}, 3) > 0.01f);
  CHECK(worse(1, {0, 2, 2, 0}, 2) > 0.01f);
  CHECK(worse(2, {0, 2, 2, 0}, -9) > 0.01f);
  CHECK(worse(1, {0, 7, 7, 0}, 2) == 0);     // nothing there
  CHECK(worse(3, {0, 1, 1, 1}, 3) > 0.01f);  // not the level for it
  CHECK(worse(4, {0, 1, 1, 1}, 3) == 0);
}

TEST_CASE("scenes without anything and labels that are no class") {
  std::vector<Tensor> outputs = nothing();
  const auto none = std::vector{Tensor::zeros({0, 4})}, no_label = std::vector{Tensor::zeros({0}, DType::int64)};
  CHECK(nn::detection_loss(outputs, none, no_label).item() < 0.1f);
  const auto box = std::vector{Tensor::from({1, 4}, {4, 4, 20, 20})};
  CHECK_THROWS_WITH_AS(nn::detection_loss(outputs, box, {Tensor::full({1}, 2, DType::int64)}),
                       "detection_loss: a label is 2, expected 0..1", Error);
  CHECK_THROWS_AS(nn::detection_loss(outputs, box, no_label), Error);
  CHECK_THROWS_AS(nn::detection_loss(outputs, {}, {}), Error);
}

TEST_CASE("a detector learns where bright squares are") {
  manual_seed(5);
  nn::Detector net({.classes = 2, .channels = 8});
  Random random(6);
  const int64_t images = 8, side = 32;
  Tensor x = Tensor::normal({images, side, side, 1}, random, 0.1);
  std::vector<Tensor> boxes, labels;
  for (int64_t i = 0; i < images; ++i) {
    const int64_t size = i % 2 == 0 ? 10 : 30, at = (7 * i) % (side - size + 1);
    for (int64_t y = at; y < at + size; ++y)
      for (int64_t c = at; c < at + size; ++c) set(x, {i, y, c, 0}, i % 2 == 0 ? 2 : -2);
    const auto low = static_cast<float>(at), high = static_cast<float>(at + size);
    boxes.push_back(Tensor::from({1, 4}, {low, low, high, high}));
    labels.push_back(Tensor::full({1}, static_cast<double>(i % 2), DType::int64));
  }
  optim::AdamW adam({.lr = 0.003});
  const auto parameters = net.parameters();
  for (int step = 0; step < 120; ++step) {
    const TrainingMode mode(true);
    nn::detection_loss(net({x}), boxes, labels).backward();
    adam.step(parameters);
    optim::zero_grad(parameters);
  }
  net.eval();
  const NoGrad no_grad;
  const auto found = nn::decode(net({x}), {.score = 0.3});
  REQUIRE(found.size() == static_cast<size_t>(images));
  for (const auto& detection : found) {
    CAPTURE(detection.image);
    CHECK(detection.label == detection.image % 2);
    for (size_t k = 0; k < 4; ++k)
      CHECK(std::abs(detection.box[k] - boxes[static_cast<size_t>(detection.image)].data<float>()[k]) < 3);
  }
}
