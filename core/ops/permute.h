#pragma once

#include "../op.h"

namespace sinter {

struct PermuteAttributes {
  std::vector<int64_t> axes{};  ///< which axis of the input each axis of the result is, all of them
};
SINTER_FIELDS(PermuteAttributes, axes)

namespace ops {

/// The same elements with the axes in another order. Any type.
struct Permute final : OpWith<PermuteAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "permute"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Permute: `permute(x, {0, 2, 1})`; negative axes count from the last.
Tensor permute(const Tensor& x, std::vector<int64_t> axes);
/// x with two axes exchanged, a permutation: `transpose(x, {1, 2})`, or the last two.
struct AxisPair {
  int64_t first = -2, second = -1;
};
Tensor transpose(const Tensor& x, const AxisPair& axes = {});

}  // namespace sinter
