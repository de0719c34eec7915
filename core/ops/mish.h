#pragma once

#include "unary.h"

namespace sinter {

namespace ops {

/// x tanh(log(1 + e^x)) (Misra, 1908.08681). Any shape, float32.
struct Mish final : Unary {
  std::string_view name() const override { return "mish"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Mish.
Tensor mish(const Tensor& x);

}  // namespace sinter
