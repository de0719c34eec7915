#pragma once
// Private: a convolution or linear layer in QAT and VALIDATION: the forward pass is the integer program's own.

#include <functional>

#include "../fused_conv.h"
#include "../quantizer.h"

namespace sinter::quant {

/// Where a quantised tensor's integers live: real value = integer * scale.
struct Grid {
  float scale = 1;
  Bounds bounds;
};

/// What one forward pass of a prepared model wants of its operations.
struct Pass {
  const March* march = nullptr;
  bool observe = false;
  /// Called with a node's integers: int8 outputs, or the int32 accumulators of a high-precision head.
  std::function<void(const Tensor&)> inspect;
};

/// Inputs x int8, weight, bias float32, and perhaps skip int8; output int8 on the grid of `output` (whose scale
/// includes this batch where the pass observes), or float32 where `output` is null (high-precision output). Gradients
/// are those of the real values: the output counts as s_y clamp(v / s_y).
struct QuantizedConv final : Op {
  std::string node;
  FusedConvAttributes conv;
  Activation activation = Activation::none;
  TensorConfig weight_config;
  const ActivationQuantizer* output = nullptr;
  Grid x, skip;
  Pass pass;

  std::string_view name() const override { return "quantized conv2d"; }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// The requantisation of a convolution's accumulators: multipliers from scales, bounds from the activation.
struct Requantization;
Requantization conv_requantization(const std::string& node, const March& march, const QuantizedWeights& weights,
                                   const Grid& x, const Grid* skip, Activation activation, float y_scale);

}  // namespace sinter::quant
