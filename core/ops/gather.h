#pragma once

#include "../op.h"

namespace sinter {

struct GatherAttributes {
  int64_t axis = -1;  ///< negative ones count from the last
};
SINTER_FIELDS(GatherAttributes, axis)

namespace ops {

/// x at the index that the second input, int64 and of the same rank, holds along an axis: its size there is any, that
/// of every other axis x's. x float32; the result has the indices' shape. An index outside of 0..size-1 is an Error.
struct Gather final : OpWith<GatherAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "gather"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Gather.
Tensor gather(const Tensor& x, const Tensor& index, int64_t axis = -1);

}  // namespace sinter
