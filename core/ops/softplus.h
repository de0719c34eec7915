#pragma once

#include "unary.h"

namespace sinter {

struct SoftplusAttributes {
  double beta = 1;
  double threshold = 20;  ///< above it, as beta x, the result is x
};
SINTER_FIELDS(SoftplusAttributes, beta, threshold)

namespace ops {

/// log(1 + e^(beta x)) / beta, a smooth ReLU. Any shape, float32.
struct Softplus final : UnaryWith<SoftplusAttributes> {
  /// Throws Error unless beta is above 0.
  Softplus(const SoftplusAttributes& attributes = {});
  std::string_view name() const override { return "softplus"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Softplus.
Tensor softplus(const Tensor& x, const SoftplusAttributes& attributes = {});

}  // namespace sinter
