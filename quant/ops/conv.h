#pragma once
// Private: a convolution or linear layer in QAT: the forward pass is the integer program's own.

#include "../fused_conv.h"
#include "output.h"

namespace sinter::quant {

/// Inputs x (int8 or int16), weight, bias float32, then, where they are there: skip (integers), what `output` learns
/// [1], what `weights` learn [O]. Output: integers of `output` (whose scale includes this batch where the pass
/// observes), or float32 where `output` is null (high-precision output). Gradients are those of the real values: the
/// output counts as s_y clamp(v / s_y).
struct QuantizedConv final : Op {
  std::string node;
  FusedConvAttributes conv;
  const WeightQuantizer* weights = nullptr;
  const ActivationQuantizer* output = nullptr;
  Learning weights_learning{}, output_learning{};
  Grid x, skip;
  Rounding rounding = Rounding::half_to_even;
  const Pass* pass = nullptr;
  bool adds = false;
  /// [O], or empty: the integers are those of the weights times these factors, by which the float32 result is divided
  /// again before a bias that is not quantised is added; for batch normalisation in training.
  std::vector<float> factors;

  std::string_view name() const override { return "quantized conv2d"; }
  Specs infer(std::span<const Spec> inputs) const override;
  void forward(Inputs inputs, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> inputs) const override;

 private:
  struct Wanted {
    bool x = false, weight = false, skip = false;
  };
  struct Found {
    Tensor x, weight, bias, skip;
  };
  Found gradients(const Context& context, Tensor& dy, const Wanted& wanted) const;
  Found sliced_gradients(const Context& context, Tensor& dy, const Wanted& wanted) const;
};

}  // namespace sinter::quant
