#pragma once
// Private: e^x and what is made of it, for loops that the compiler turns into vectors: no call and no branch, so that
// each value has the same bits whatever lies beside it and whatever the instruction set.

#include <cstdint>

namespace sinter::kernel {

namespace {

inline float with_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
/// 2^n for the exponents of normal numbers.
inline float power_of_two(uint32_t n) { return with_bits((n + 127) << 23); }

/// e^x within 1 unit in the last place (Cephes' expf), subnormal results as well; NaN for NaN.
inline float exp(float x) {
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 0x1.8p23f;            // added, it leaves an integer in the lowest bits
  constexpr float kZero = -104, kInfinite = 89;  // beyond them nothing changes
  float v = x < kZero ? kZero : x;
  v = v > kInfinite ? kInfinite : v;
  const float shifted = v * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (v - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = (p * (r * r) + r) + 1;
  // By 2^n in two steps, as 2^n may be no normal number; the first is exact.
  const auto power = static_cast<int32_t>(bits_of(shifted) - bits_of(kRound));
  const int32_t half = power >> 1;
  return mantissa * power_of_two(static_cast<uint32_t>(half)) *
         power_of_two(static_cast<uint32_t>(power) - static_cast<uint32_t>(half));
}

/// e^x - 1 within 2 units; what e^x has of it next to 0 (the same polynomial).
inline float expm1(float x) {
  constexpr float kNear = 0.34f;  // below it, e^x is made of no power of two
  float p = 1.9875691500e-4f;
  p = p * x + 1.3981999507e-3f;
  p = p * x + 8.3334519073e-3f;
  p = p * x + 4.1665795894e-2f;
  p = p * x + 1.6666665459e-1f;
  p = p * x + 5.0000001201e-1f;
  return __builtin_fabsf(x) < kNear ? p * (x * x) + x : exp(x) - 1;
}

/// 1 / (1 + e^-x) within 2.5 units; neither overflows nor cancels on either side of 0.
inline float logistic(float x) {
  const float e = exp(-__builtin_fabsf(x));
  return (x < 0 ? e : 1.0f) / (1 + e);
}

/// tanh(x) within 1.5 units: a polynomial near 0 (Cephes' tanhf), else 1 - 2 / (e^2x + 1).
inline float tanh(float x) {
  constexpr uint32_t kSign = uint32_t{1} << 31;
  const float a = __builtin_fabsf(x), z = a * a;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * a + a, far = 1 - 2 / (exp(2 * a) + 1);
  return with_bits(bits_of(a < 0.625f ? near : far) | (bits_of(x) & kSign));
}

}  // namespace

}  // namespace sinter::kernel
