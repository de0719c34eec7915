#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// 1 / sqrt(x). Any shape, float32.
struct Rsqrt final : Unary {
  std::string_view name() const override { return "rsqrt"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Rsqrt; a temporary's elements are reused.
Tensor rsqrt(Tensor x);

}  // namespace sinter
