#pragma once

#include "unary.h"

namespace sinter::ops {

/// min(max(x, 0), 6); NaN stays NaN. Any shape, float32. The gradient passes where 0 < x < 6, as in PyTorch.
struct Relu6 final : Unary {
  std::string_view name() const override { return "relu6"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// min(max(x, 0), 6), elementwise; a temporary's elements are reused.
Tensor relu6(Tensor x);
}  // namespace sinter
