#pragma once

#include "unary.h"

namespace sinter::ops {

/// max(x, 0); NaN stays NaN. Any shape, float32.
struct Relu final : Unary {
  std::string_view name() const override { return "relu"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// max(x, 0), elementwise; a temporary's elements are reused.
Tensor relu(Tensor x);
}  // namespace sinter
