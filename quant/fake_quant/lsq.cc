#include "lsq.h"

#include <algorithm>
#include <cmath>

namespace sinter::quant {

double Lsq::start(const LearnedStart& from) const {
  const bool narrow = from.bounds.high < 127;
  if (from.scale && !(from.weights && narrow)) return static_cast<double>(*from.scale);
  return std::max(2 * from.mean_abs / std::sqrt(static_cast<double>(from.bounds.high)), double{kMinScale});
}

void Lsq::slopes(const float* v, int64_t count, const Bounds& bounds, Rounding rounding, float* out) const {
  for (int64_t i = 0; i < count; ++i) {
    const double wide = v[i], clamped = std::clamp(wide, bounds.low - 1.0, bounds.high + 1.0);
    const double rounded = round_as(rounding, clamped);  // inside is what rounds to within the bounds, as in PyTorch
    out[i] = static_cast<float>(rounded < bounds.low    ? bounds.low
                                : rounded > bounds.high ? bounds.high
                                                        : rounded - wide);
  }
}

double Lsq::gradient_scale(int64_t values, const Bounds& bounds) const {
  if (!use_grad_scaling) return 1;
  return 1 / std::sqrt(static_cast<double>(values) * bounds.high);
}

}  // namespace sinter::quant
