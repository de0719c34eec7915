#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// x / (1 + |x|). Any shape, float32.
struct Softsign final : Unary {
  std::string_view name() const override { return "softsign"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Softsign.
Tensor softsign(const Tensor& x);

}  // namespace sinter
