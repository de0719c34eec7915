#pragma once

#include "../fake_quant.h"

namespace sinter::quant {

/// "lsq": the scale is learned (Esser et al., 1902.08153). It starts at the calibrated scale; where nothing was
/// calibrated, and for weights always, below 8 bits at 2 mean|v| / sqrt(qmax) and from 8 bits on, where that is several
/// times too wide, at what the range of the first batch, or of the weights, asks for.
struct Lsq final : FakeQuantize {
  /// Multiplies the scale's gradient by 1 / sqrt(N qmax), N the elements of one scale.
  bool use_grad_scaling = true;

  std::string_view learned() const override { return "scale"; }
  double start(const LearnedStart& from) const override;
  /// round(v) - v inside, qmin below, qmax above (equation 3); inside is what rounds to within the bounds.
  void slopes(const float* v, int64_t count, const Bounds& bounds, Rounding rounding, float* out) const override;
  double gradient_scale(int64_t values, const Bounds& bounds) const override;
  std::optional<double> weight_decay() const override { return 0.0; }
  std::optional<double> averaging_constant() const override { return 1.0; }
};

}  // namespace sinter::quant
