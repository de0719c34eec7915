#pragma once

#include "unary.h"

namespace sinter {

struct GeluAttributes {
  std::string approximate = "none";  ///< "none": exactly, "tanh": x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
};
SINTER_FIELDS(GeluAttributes, approximate)

namespace ops {

/// x times the probability that a standard normal number is below x (Hendrycks and Gimpel, 1606.08415). Any shape,
/// float32.
struct Gelu final : UnaryWith<GeluAttributes> {
  /// Throws Error for another approximation.
  Gelu(const GeluAttributes& attributes = {});
  std::string_view name() const override { return "gelu"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Gelu.
Tensor gelu(const Tensor& x, const GeluAttributes& attributes = {});

}  // namespace sinter
