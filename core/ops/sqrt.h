#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// The square root; NaN below 0. Any shape, float32.
struct Sqrt final : Unary {
  std::string_view name() const override { return "sqrt"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Sqrt; a temporary's elements are reused.
Tensor sqrt(Tensor x);

}  // namespace sinter
