#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// The natural logarithm; -inf for 0, NaN below. Any shape, float32.
struct Log final : Unary {
  std::string_view name() const override { return "log"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Log.
Tensor log(const Tensor& x);

}  // namespace sinter
