#pragma once

#include <limits>

#include "unary.h"

namespace sinter {

struct ClampAttributes {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
};
SINTER_FIELDS(ClampAttributes, min, max)

namespace ops {

/// min(max(x, min), max); NaN stays NaN. The gradient passes within the bounds and at them, as in PyTorch. Any shape,
/// float32.
struct Clamp final : UnaryWith<ClampAttributes> {
  /// Throws Error unless min <= max.
  Clamp(const ClampAttributes& attributes = {});
  std::string_view name() const override { return "clamp"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Clamp: `clamp(x, {.min = -1, .max = 1})`, or with one of them.
Tensor clamp(const Tensor& x, const ClampAttributes& attributes = {});

}  // namespace sinter
