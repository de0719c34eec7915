#pragma once
// Private: functions of the integer contract for loops over tensors; contract.cc's are these.

#include <cmath>

#include "contract.h"

namespace sinter::quant::inlined {

inline double round_as(Rounding rounding, double v) {
  // Adding and taking away 1.5 * 2^52 leaves an integer, rounded half to even by the addition.
  constexpr double kMagic = 0x1.8p52;
  return rounding == Rounding::half_to_even ? (v + kMagic) - kMagic : std::floor(v + 0.5);
}

inline int32_t quantize(float x, float inverse_scale, const Bounds& bounds, Rounding rounding) {
  const float v = x * inverse_scale;
  if (!(v > static_cast<float>(bounds.low))) return v == v ? bounds.low : 0;
  if (v >= static_cast<float>(bounds.high)) return bounds.high;
  return static_cast<int32_t>(inlined::round_as(rounding, v));
}

inline float dequantize(int32_t acc, float x_scale, float weight_scale) {
  return static_cast<float>(static_cast<double>(acc) *
                            (static_cast<double>(x_scale) * static_cast<double>(weight_scale)));
}

}  // namespace sinter::quant::inlined
