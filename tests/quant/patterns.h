#pragma once
// What is fused into one layer, in all its forms.

#include "../../nn/layers/conv_transpose2d.h"
#include "networks.h"

namespace sinter::test {

/// Any of the layers that are fused, with and without batch normalisation, an addition of either operand, an
/// activation; with one input, or a second one that is added.
struct Pattern : nn::Module {
  std::string layer = "conv", activation = "none";
  bool normalised = false;
  int added = 0;  // 0: nothing, 1: in front of the layer, 2: behind it
  nn::Conv2d conv{{.in = 4, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::Conv2d depthwise{{.in = 4, .out = 4, .kernel = 3, .padding = 1, .groups = 4, .bias = false}};
  nn::ConvTranspose2d transposed{{.in = 4, .out = 4, .kernel = 4, .stride = 2, .padding = 1, .bias = false}};
  nn::Linear linear{{.in = 4, .out = 4}};
  nn::BatchNorm2d bn{4};
  SINTER_CHILDREN(conv, depthwise, transposed, linear, bn)

  std::string name() const { return text(layer, normalised ? " bn" : "", " add", added, " ", activation); }

  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    Tensor y = layer == "conv"         ? conv(x[0])
               : layer == "depthwise"  ? depthwise(x[0])
               : layer == "transposed" ? transposed(x[0])
                                       : linear(x[0]);
    if (normalised) y = bn(y);
    if (added == 1) y = x[1] + y;
    if (added == 2) y = y + x[1];
    return {activation == "relu" ? relu(y) : activation == "relu6" ? relu6(y) : y};
  }

  /// Random ones.
  std::vector<Tensor> inputs(int64_t count, uint64_t seed = 1, double reach = 1) const {
    std::vector<Tensor> x{images(layer == "linear" ? Shape{count, 4} : Shape{count, 5, 6, 4}, seed, reach)};
    if (added > 0)
      x.push_back(images(layer == "transposed" ? Shape{count, 10, 12, 4} : x[0].shape(), seed + 1000, reach));
    return x;
  }
};

/// In evaluation.
inline std::vector<Pattern> all_patterns() {
  std::vector<Pattern> all;
  for (const char* layer : {"conv", "depthwise", "transposed", "linear"})
    for (const bool normalised : {false, true})
      for (const int added : {0, 1, 2})
        for (const char* activation : {"none", "relu", "relu6"}) {
          Pattern& pattern = all.emplace_back();
          pattern.layer = layer;
          pattern.normalised = normalised;
          pattern.added = added;
          pattern.activation = activation;
          pattern.eval();
        }
  return all;
}

}  // namespace sinter::test
