#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// e^x. Any shape, float32.
struct Exp final : Unary {
  std::string_view name() const override { return "exp"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Exp; a temporary's elements are reused.
Tensor exp(Tensor x);

}  // namespace sinter
