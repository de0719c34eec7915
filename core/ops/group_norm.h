#pragma once

#include "../op.h"

namespace sinter {

struct GroupNormAttributes {
  int64_t groups = 1;  ///< of channels; as many as there are channels: instance normalisation
  double eps = 1e-5;
};
SINTER_FIELDS(GroupNormAttributes, groups, eps)

namespace ops {

/// The values of each image's group of channels to mean 0 and variance 1, times a weight, plus a bias (Wu and He,
/// 1803.08494): x [N,...,C], weight and bias [C], or none of them, float32.
struct GroupNorm final : OpWith<GroupNormAttributes> {
  /// Throws Error unless groups >= 1 and eps is above 0.
  GroupNorm(const GroupNormAttributes& attributes = {});
  std::string_view name() const override { return "group_norm"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::GroupNorm; undefined weight and bias are none.
Tensor group_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                  const GroupNormAttributes& attributes = {});

}  // namespace sinter
