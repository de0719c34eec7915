#include "contract.h"

#include <algorithm>

#include "../core/error.h"
#include "contract_inline.h"

namespace sinter::quant {

Bounds type_bounds(int bits, bool negative) {
  const int32_t count = int32_t{1} << bits;
  return negative || bits >= 8 ? Bounds{-count / 2, count / 2 - 1} : Bounds{0, count - 1};
}

float scale_from_range(float min, float max, const Bounds& type) {
  check(std::isfinite(min) && std::isfinite(max), "scale: range [", min, ",", max, "] is not finite");
  const float reach = std::max({-min, max, 0.0f});
  const auto steps = static_cast<float>(type.high - type.low);
  return std::max(reach / (type.low < 0 ? steps / 2 : steps), kMinScale);
}

double round_as(Rounding rounding, double v) { return inlined::round_as(rounding, v); }

int32_t quantize(float x, float inverse_scale, const Bounds& bounds, Rounding rounding) {
  return inlined::quantize(x, inverse_scale, bounds, rounding);
}

float dequantize(int32_t acc, float x_scale, float weight_scale) {
  return inlined::dequantize(acc, x_scale, weight_scale);
}

Bounds output_bounds(Activation activation, float scale, Rounding rounding, const Bounds& type) {
  Bounds bounds = type;
  if (activation != Activation::none) bounds.low = 0;
  if (activation == Activation::relu6) bounds.high = quantize(6.0f, 1.0f / scale, type, rounding);
  return bounds;
}

float effective_weight_scale(const Arithmetic& march, float weight_scale, float x_scale, float bias, const Grid* skip) {
  check(std::isfinite(bias), "bias is ", bias, ", which has no quantised value");
  double reach = std::abs(static_cast<double>(bias)), least = 0, room = 0x1p30;
  if (skip != nullptr) {
    // Of the type, whatever of it is used: the weights' integers shall not depend on that.
    const int64_t reach_of_type = std::max(type_bounds(skip->bits).reach(), type_bounds(skip->bits, false).reach());
    reach += static_cast<double>(reach_of_type) * static_cast<double>(skip->scale);
    room -= 0x1p16;  // for what the residual's integers are rounded up by
    least = march.datapath->least_unit(*skip);
  }
  const double needed = std::max(reach / room, least) / static_cast<double>(x_scale);
  if (needed <= weight_scale) return weight_scale;
  // Rounding to float may fall below what is needed: step up.
  float raised = static_cast<float>(needed);
  if (static_cast<double>(raised) < needed) raised = std::nextafter(raised, INFINITY);
  return march.on_grid(raised, true);
}

int32_t quantize_bias(float bias, float x_scale, float weight_scale) {
  const double q = round_as(Rounding::half_to_even, static_cast<double>(bias) / (static_cast<double>(x_scale) *
                                                                                 static_cast<double>(weight_scale)));
  check(std::abs(q) <= 0x1p30, "bias ", bias, " is ", q, " on its accumulator's grid, expected at most 2^30");
  return static_cast<int32_t>(q);
}

}  // namespace sinter::quant
