#pragma once

#include "unary.h"

namespace sinter {

struct HardsigmoidAttributes {
  double slope = 1.0 / 6;  ///< ONNX calls it alpha, whose default is 0.2
  double offset = 0.5;     ///< ONNX: beta
};
SINTER_FIELDS(HardsigmoidAttributes, slope, offset)

namespace ops {

/// slope x + offset within 0..1. The gradient passes where the result is neither 0 nor 1. Any shape, float32.
struct Hardsigmoid final : UnaryWith<HardsigmoidAttributes> {
  /// Throws Error unless the slope is above 0 and both are finite.
  Hardsigmoid(const HardsigmoidAttributes& attributes = {});
  std::string_view name() const override { return "hardsigmoid"; }
  UnaryKernel kernel() const override;
  double at(double x) const override;
};

}  // namespace ops

/// See ops::Hardsigmoid; a temporary's elements are reused.
Tensor hardsigmoid(Tensor x, const HardsigmoidAttributes& attributes = {});

}  // namespace sinter
