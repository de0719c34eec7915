#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// 1 / x. Any shape, float32.
struct Reciprocal final : Unary {
  std::string_view name() const override { return "reciprocal"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Reciprocal; a temporary's elements are reused.
Tensor reciprocal(Tensor x);

}  // namespace sinter
