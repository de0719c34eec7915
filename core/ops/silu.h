#pragma once

#include "unary.h"

namespace sinter::ops {

/// x / (1 + e^-x), also called swish. Any shape, float32.
struct Silu final : Unary {
  std::string_view name() const override { return "silu"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// x / (1 + e^-x), elementwise.
Tensor silu(const Tensor& x);
}  // namespace sinter
