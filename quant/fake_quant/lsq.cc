#include "lsq.h"

#include <algorithm>
#include <cmath>

namespace sinter::quant {

double Lsq::start(const LearnedStart& from) const {
  const bool narrow = from.bounds.high < 127;
  if (from.scale && !(from.weights && narrow)) return static_cast<double>(*from.scale);
  if (narrow) return std::max(2 * from.mean_abs / std::sqrt(static_cast<double>(from.bounds.high)), double{kMinScale});
  const auto reach = static_cast<float>(from.max_abs);
  return static_cast<double>(scale_from_range(-reach, reach, from.bounds));
}

namespace {

// Inside is what rounds to within the bounds, as in PyTorch. All in float: |v| is at most 2^15 + 1 once it is limited.
template <bool kHalfUp>
void slopes_as(const float* v, int64_t count, const Bounds& bounds, float* out) {
  const auto low = static_cast<float>(bounds.low), high = static_cast<float>(bounds.high);
  for (int64_t i = 0; i < count; ++i) {
    float x = v[i];
    x = x < low - 1 ? low - 1 : x;
    x = x > high + 1 ? high + 1 : x;
    float r = (x + 0x1.8p23f) - 0x1.8p23f;  // half to even
    if constexpr (kHalfUp) r = x - r >= 0.5f ? r + 1 : r;
    const float slope = r - x;
    out[i] = r < low ? low : r > high ? high : slope;
  }
}

}  // namespace

void Lsq::slopes(const float* v, int64_t count, const Bounds& bounds, Rounding rounding, float* out) const {
  (rounding == Rounding::half_up ? slopes_as<true> : slopes_as<false>)(v, count, bounds, out);
}

double Lsq::gradient_scale(int64_t values, const Bounds& bounds) const {
  if (!use_grad_scaling) return 1;
  return 1 / std::sqrt(static_cast<double>(values) * bounds.high);
}

}  // namespace sinter::quant
