#pragma once

#include "../op.h"

namespace sinter {

struct SoftmaxAttributes {
  int64_t axis = -1;  ///< negative ones count from the last
};
SINTER_FIELDS(SoftmaxAttributes, axis)

namespace ops {

/// exp(x) / sum(exp(x)) along an axis, computed on x - max(x). Any shape with axes, float32.
struct Softmax final : OpWith<SoftmaxAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "softmax"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Softmax.
Tensor softmax(const Tensor& x, int64_t axis = -1);

}  // namespace sinter
