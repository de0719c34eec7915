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

int32_t requantize(int64_t acc, int64_t skip, const Multiplier& by, const Bounds& bounds, Rounding rounding) {
  // Below 2^47, so exact in double; scaling by a power of two is, too. Clamping integers first does not change the
  // result of rounding and keeps it small.
  double v = static_cast<double>(acc * by.m + skip * by.skip) * std::ldexp(1.0, -by.shift);
  v = v < bounds.low ? bounds.low : v;
  v = v > bounds.high ? bounds.high : v;
  return static_cast<int32_t>(round_as(rounding, v));
}

Multiplier multiplier(const March& march, double ratio, double skip_ratio, const Bounds& skip, const char* what) {
  check(std::isfinite(ratio) && ratio >= 0 && std::isfinite(skip_ratio) && skip_ratio >= 0, what,
        ": a ratio of scales is not finite");
  const double limit = std::ldexp(1.0, march.multiplier_bits);
  const double skip_reach = std::max(std::abs(static_cast<double>(skip.low)), std::abs(static_cast<double>(skip.high)));
  for (int n = march.max_shift; n >= 0; --n) {
    const double m = round_as(Rounding::half_to_even, std::ldexp(ratio, n));
    const double ms = round_as(Rounding::half_to_even, std::ldexp(skip_ratio, n));
    if (m < limit && skip_reach * ms < 0x1p46) return {static_cast<int32_t>(m), n, static_cast<int64_t>(ms)};
  }
  fail(what, ": no ", march.multiplier_bits, "-bit multiplier reaches the ratio ", std::max(ratio, skip_ratio),
       " of input to output scale; the output's scale is too small for what it holds (a "
       "learned one has collapsed, or training diverged: lower the learning rate, that of learned scales by a rule for "
       "*.scale)");
}

Bounds output_bounds(Activation activation, float scale, Rounding rounding, const Bounds& type) {
  Bounds bounds = type;
  if (activation != Activation::none) bounds.low = 0;
  if (activation == Activation::relu6) bounds.high = quantize(6.0f, 1.0f / scale, type, rounding);
  return bounds;
}

float effective_weight_scale(const March& march, float weight_scale, float x_scale, float bias) {
  check(std::isfinite(bias), "bias is ", bias, ", which has no quantised value");
  const double needed = std::abs(static_cast<double>(bias)) / (static_cast<double>(x_scale) * 0x1p30);
  if (needed <= weight_scale) return weight_scale;
  // Rounding to float may fall below what is needed: step up.
  float raised = static_cast<float>(needed);
  if (static_cast<double>(raised) < needed) raised = std::nextafter(raised, INFINITY);
  return march.on_grid(raised);
}

int32_t quantize_bias(float bias, float x_scale, float weight_scale) {
  const double q = round_as(Rounding::half_to_even, static_cast<double>(bias) / (static_cast<double>(x_scale) *
                                                                                 static_cast<double>(weight_scale)));
  check(std::abs(q) <= 0x1p30, "bias ", bias, " is ", q, " on its accumulator's grid, expected at most 2^30");
  return static_cast<int32_t>(q);
}

}  // namespace sinter::quant
