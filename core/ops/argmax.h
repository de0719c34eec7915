#pragma once

#include "../op.h"

namespace sinter {

struct ArgmaxAttributes {
  int64_t axis = -1;  ///< negative ones count from the last
  bool keep = false;  ///< the axis stays, with size 1
};
SINTER_FIELDS(ArgmaxAttributes, axis, keep)

namespace ops {

/// The index of the largest value along an axis of a float32 tensor, as int64: the first of equal ones; NaN is larger
/// than any number (as PyTorch's argmax). No gradient flows through it.
struct Argmax final : OpWith<ArgmaxAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "argmax"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  bool differentiable() const override { return false; }
};

}  // namespace ops

/// See ops::Argmax.
Tensor argmax(const Tensor& x, int64_t axis = -1, bool keep = false);

}  // namespace sinter
