#pragma once

#include "../op.h"

namespace sinter {

struct LayerNormAttributes {
  int64_t axes = 1;  ///< how many of the last ones are normalised together
  double eps = 1e-5;
};
SINTER_FIELDS(LayerNormAttributes, axes, eps)

namespace ops {

/// The values of the last axes to mean 0 and variance 1, times a weight, plus a bias (Ba et al., 1607.06450): x
/// [...,C], weight and bias [C] (of all the last axes), or none of them, float32.
struct LayerNorm final : OpWith<LayerNormAttributes> {
  /// Throws Error unless axes >= 1 and eps is above 0.
  LayerNorm(const LayerNormAttributes& attributes = {});
  std::string_view name() const override { return "layer_norm"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::LayerNorm; undefined weight and bias are none.
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                  const LayerNormAttributes& attributes = {});

}  // namespace sinter
