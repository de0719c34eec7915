#pragma once

#include "unary.h"

namespace sinter {

struct LeakyReluAttributes {
  double negative_slope = 0.01;  ///< 0 or more
};
SINTER_FIELDS(LeakyReluAttributes, negative_slope)

namespace ops {

/// x where x > 0, else negative_slope x (the gradient at 0, too). Any shape, float32.
struct LeakyRelu final : UnaryWith<LeakyReluAttributes> {
  /// Throws Error for a slope below 0.
  LeakyRelu(const LeakyReluAttributes& attributes);
  std::string_view name() const override { return "leaky_relu"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::LeakyRelu; a temporary's elements are reused.
Tensor leaky_relu(Tensor x, const LeakyReluAttributes& attributes = {});

}  // namespace sinter
