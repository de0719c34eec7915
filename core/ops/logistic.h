#pragma once
// Private: 1 / (1 + e^-x), shared by sigmoid and silu.

#include <bit>
#include <cmath>
#include <cstdint>

namespace sinter::ops {

/// e^x for x <= 0, within 2 units in the last place (Cephes' expf): 0 where the result would be subnormal, NaN for NaN.
/// No call and no branch: loops over it become vectors, each value the same whatever lies beside it.
inline float exp_of_negative(float x) {
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 0x1.8p23f;   // added, it leaves an integer in the lowest bits
  constexpr float kLeast = -87.33654f;  // ln 2^-126
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = (p * (r * r) + r) + 1;
  const auto power = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127) << 23);
  // A choice between bits, as g++ makes a branch of one between floats.
  const uint32_t underflows = x < kLeast ? ~uint32_t{0} : 0;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(mantissa * power) & ~underflows);
}

/// Neither overflows nor cancels, on either side of 0.
inline float logistic(float x) {
  const float e = exp_of_negative(-std::fabs(x));
  return (x < 0 ? e : 1.0f) / (1 + e);
}

}  // namespace sinter::ops
