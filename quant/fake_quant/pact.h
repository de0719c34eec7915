#pragma once

#include "../fake_quant.h"

namespace sinter::quant {

/// "pact": values are clipped to [-alpha, alpha], or [0, alpha] where they cannot be negative, and alpha, whose scale
/// is alpha / qmax, is learned (Choi et al., 1805.06085). It starts at the calibrated clip or, for activations that
/// were not calibrated, at the keyword `alpha`; for weights at their largest absolute value. The paper's L2 penalty on
/// alpha is the optimiser's weight decay.
struct Pact final : FakeQuantize {
  double alpha = 6;

  std::string_view learned() const override { return "alpha"; }
  Bounds bounds(const Bounds& type) const override { return {type.low < 0 ? -type.high : 0, type.high}; }
  bool strictly_inside() const override { return true; }
  double start(const LearnedStart& from) const override;
  float scale(float learned, const Bounds& bounds) const override;
  /// 1 from alpha on, -1 up to -alpha, 0 inside.
  void slopes(const float* v, int64_t count, const Bounds& bounds, Rounding rounding, float* out) const override;
  void validate() const override;
};

}  // namespace sinter::quant
