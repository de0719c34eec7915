#pragma once

#include "unary.h"

namespace sinter {

struct PowAttributes {
  double exponent = 1;
};
SINTER_FIELDS(PowAttributes, exponent)

namespace ops {

/// x^exponent, by the rules of C: NaN for x below 0 and an exponent that is not whole. Any shape, float32.
struct Pow final : UnaryWith<PowAttributes> {
  /// Throws Error unless the exponent is finite.
  Pow(const PowAttributes& attributes = {});
  std::string_view name() const override { return "pow"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Pow.
Tensor pow(const Tensor& x, double exponent);
/// x^2, as ops::Pow.
Tensor square(const Tensor& x);

}  // namespace sinter
