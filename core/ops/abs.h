#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// |x|; the gradient at 0 is 0. Any shape, float32.
struct Abs final : Unary {
  std::string_view name() const override { return "abs"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Abs.
Tensor abs(const Tensor& x);

}  // namespace sinter
