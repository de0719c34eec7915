#pragma once

#include "unary.h"

namespace sinter::ops {

/// The hyperbolic tangent. Any shape, float32.
struct Tanh final : Unary {
  std::string_view name() const override { return "tanh"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// The hyperbolic tangent, elementwise; a temporary's elements are reused.
Tensor tanh(Tensor x);
}  // namespace sinter
