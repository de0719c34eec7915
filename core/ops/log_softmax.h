#pragma once

#include "../op.h"

namespace sinter {

struct LogSoftmaxAttributes {
  int64_t axis = -1;  ///< negative ones count from the last
};
SINTER_FIELDS(LogSoftmaxAttributes, axis)

namespace ops {

/// x - log(sum(exp(x))) along an axis, computed on x - max(x). Any shape with axes, float32.
struct LogSoftmax final : OpWith<LogSoftmaxAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "log_softmax"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::LogSoftmax.
Tensor log_softmax(const Tensor& x, int64_t axis = -1);

}  // namespace sinter
