#include "detector.h"

#include <cmath>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/resize.h"

namespace sinter::nn {

DetectionHead::DetectionHead(Options o)
    : class_tower({.in = o.in, .out = o.in, .kernel = 3, .padding = 1}),
      box_tower({.in = o.in, .out = o.in, .kernel = 3, .padding = 1}),
      classes({.in = o.in, .out = o.classes, .kernel = 3, .padding = 1}),
      box({.in = o.in, .out = 4, .kernel = 3, .padding = 1}),
      centre({.in = o.in, .out = 1, .kernel = 3, .padding = 1}) {
  // As RetinaNet's (1708.02002, section 4.1): at first, little is seen anywhere, and all places together weigh as much
  // as those that have something.
  for (const Conv2d* conv : {&classes, &box, &centre}) {
    Tensor weight = conv->weight.tensor();
    for (float& v : std::span(weight.mutable_data<float>(), static_cast<size_t>(weight.elements()))) v *= 0.1f;
  }
  constexpr double kPrior = 0.01;
  Tensor bias = classes.bias.tensor();
  bias.copy_from(Tensor::full(bias.shape(), -std::log((1 - kPrior) / kPrior)));
}

std::vector<Tensor> DetectionHead::forward_all(std::span<const Tensor> x) const {
  check(x.size() == 1, "DetectionHead: got ", x.size(), " inputs, expected 1");
  const Tensor of_class = relu(class_tower(x[0])), of_box = relu(box_tower(x[0]));
  return {classes(of_class), box(of_box), centre(of_box)};
}

namespace {

std::vector<BasicBlock> stages(int64_t channels) {
  std::vector<BasicBlock> body;
  for (int64_t in = channels; in < 8 * channels; in *= 2) {
    body.push_back({{.in = in, .out = 2 * in, .stride = 2}});
    body.push_back({{.in = 2 * in, .out = 2 * in}});
  }
  return body;
}

}  // namespace

Detector::Detector(const DetectorOptions& o)
    : stem({.in = o.in_channels, .out = o.channels, .kernel = 3, .padding = 1, .bias = false}),
      bn(o.channels),
      body(stages(o.channels)),
      large({.in = 4 * o.channels, .out = 4 * o.channels, .kernel = 1}),
      small({.in = 8 * o.channels, .out = 4 * o.channels, .kernel = 1}),
      head({.in = 4 * o.channels, .classes = o.classes}) {}

std::vector<Tensor> Detector::forward_all(std::span<const Tensor> x) const {
  check(x.size() == 1 && x[0].rank() == 4 && x[0].size(1) % kStrides[1] == 0 && x[0].size(2) % kStrides[1] == 0,
        "Detector: expected images [N,H,W,C] with H and W multiples of ", kStrides[1]);
  Tensor y = relu(bn(stem(x[0])));
  std::array<Tensor, 2> level;
  for (size_t i = 0; i < body.size(); ++i) {
    y = body[i](y);
    if (i + 3 == body.size()) level[0] = y;
  }
  level[1] = small(y);
  level[0] = large(level[0]) + resize_nearest(level[1], 2);
  std::vector<Tensor> results;
  for (const Tensor& of_level : level)
    for (const Tensor& result : head({of_level})) results.push_back(result);
  return results;
}

}  // namespace sinter::nn
