#pragma once

#include "../op.h"

namespace sinter {

struct ConcatAttributes {
  int64_t axis = -1;  ///< negative ones count from the last: -1 is the channels
};
SINTER_FIELDS(ConcatAttributes, axis)

namespace ops {

/// Any number of tensors, at least one, one behind the other along an axis: same type, and same size of every other
/// axis.
struct Concat final : OpWith<ConcatAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "concat"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Concat: `concat({a, b})` has the channels of a, then those of b.
Tensor concat(const std::vector<Tensor>& x, int64_t axis = -1);

}  // namespace sinter
