#pragma once
// Private: a convolution or linear layer in QAT and VALIDATION: the forward pass is the integer program's own.

#include "../fused_conv.h"
#include "output.h"

namespace sinter::quant {

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
  const Pass* pass = nullptr;

  std::string_view name() const override { return "quantized conv2d"; }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> inputs) const override;
};

/// The units of a convolution's accumulators: s_x s_w[c].
std::vector<double> accumulator_units(const QuantizedWeights& weights, float x_scale);

}  // namespace sinter::quant
