#pragma once

#include "unary.h"

namespace sinter::ops {

/// x min(max(x + 3, 0), 6) / 6 (Howard et al., 1905.02244). Any shape, float32. The gradient is 0 below -3, 1 from 3
/// on and x / 3 + 1/2 from one to the other, as in PyTorch.
struct Hardswish final : Unary {
  std::string_view name() const override { return "hardswish"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// x min(max(x + 3, 0), 6) / 6, elementwise.
Tensor hardswish(const Tensor& x);
}  // namespace sinter
