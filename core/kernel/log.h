#pragma once
// Private: logarithms, powers and the normal distribution, for loops that the compiler turns into vectors; as in exp.h.

#include "exp.h"

namespace sinter::kernel {

namespace {

/// A positive number that is not infinite as mantissa 2^exponent, the mantissa between the roots of 1/2 and of 2.
struct Scaled {
  float mantissa;
  int32_t exponent;
};
inline Scaled scaled(float x) {
  constexpr float kNormal = 0x1p-126f, kUp = 0x1p23f;
  constexpr uint32_t kRootOfHalf = 0x3f3504f3;
  const bool small = x < kNormal;
  const uint32_t bits = bits_of(small ? x * kUp : x);
  const int32_t exponent = static_cast<int32_t>(bits - kRootOfHalf) >> 23;
  return {with_bits(bits - (static_cast<uint32_t>(exponent) << 23)), exponent - (small ? 23 : 0)};
}

/// log(x) within 1 unit (Cephes' logf); NaN for NaN and below 0.
inline float log(float x) {
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f, kInfinity = __builtin_inff();
  const Scaled s = scaled(x);
  const float m = s.mantissa - 1, n = static_cast<float>(s.exponent), z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float low = p * m * z + n * kLn2Low - 0.5f * z;
  float y = (m + low) + n * kLn2High;
  y = x < kInfinity ? y : x;  // infinity and NaN
  y = x < 0 ? __builtin_nanf("") : y;
  return x == 0 ? -kInfinity : y;
}

/// log(1 + x) for x in 0..1.
inline float log1p(float x) {
  const float sum = 1 + x;
  return log(sum) + (x - (sum - 1)) / sum;
}

/// x^exponent for a finite exponent, rounded once more than exactly: in double. The rules are those of C.
struct Power {
  double exponent;
  bool whole, odd;

  explicit Power(double e) : exponent(e) {
    const double size = e < 0 ? -e : e;
    whole = size >= 0x1p53 || static_cast<double>(static_cast<int64_t>(size)) == size;
    odd = whole && size < 0x1p53 && static_cast<int64_t>(size) % 2 != 0;
  }

  float operator()(float x) const {
    constexpr float kInfinity = __builtin_inff();
    const float size = __builtin_fabsf(x);
    const Scaled s = scaled(size);
    // log(m) = 2 (r + r^3 / 3 + r^5 / 5 + ...) for r = (m - 1) / (m + 1)
    const double m = static_cast<double>(s.mantissa), r = (m - 1) / (m + 1), z = r * r;
    double p = 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    p = p * z + 1;
    constexpr double kTwoByLn2 = 2.8853900817779268, kLn2 = 0.69314718055994531;
    double v = (kTwoByLn2 * r * p + static_cast<double>(s.exponent)) * exponent;
    v = v < -200 ? -200 : v;
    v = v > 200 ? 200 : v;
    constexpr double kRound = 0x1.8p52;  // added, it leaves an integer in the lowest bits
    const double shifted = v + kRound, f = (v - (shifted - kRound)) * kLn2;
    double e = 1.0 / 362880;
    e = e * f + 1.0 / 40320;
    e = e * f + 1.0 / 5040;
    e = e * f + 1.0 / 720;
    e = e * f + 1.0 / 120;
    e = e * f + 1.0 / 24;
    e = e * f + 1.0 / 6;
    e = e * f + 0.5;
    e = e * f + 1;
    e = e * f + 1;
    const double power =
        __builtin_bit_cast(double, __builtin_bit_cast(uint64_t, e) + (__builtin_bit_cast(uint64_t, shifted) << 52));
    auto y = static_cast<float>(power);
    const float at_zero = exponent > 0 ? 0.0f : kInfinity, at_infinity = exponent > 0 ? kInfinity : 0.0f;
    y = size == 0 ? at_zero : y;
    y = size == kInfinity ? at_infinity : y;
    const float sign = (bits_of(x) >> 31) != 0 && odd ? -1.0f : 1.0f;
    y = ((x < 0) & (size < kInfinity) & !whole) ? __builtin_nanf("") : y * sign;
    return x == x ? y : x;
  }
};

/// How likely a standard normal number is to be below x, within 3 units, and its density there.
struct Normal {
  float probability, density;
};
inline Normal normal_below(float x) {
  float a = __builtin_fabsf(x);
  a = a > 14.4f ? 14.4f : a;  // beyond it nothing changes
  // erfc(z) = e^-z^2 t p(t), t = 1 / (1 + z / 2), z = x / sqrt(2)
  const float z = a * 0.70710678f, t = 1 / (1 + 0.5f * z);
  float p = 0.017974724993109703f;
  p = p * t - 0.15249153971672058f;
  p = p * t + 0.4934166371822357f;
  p = p * t - 0.7498882412910461f;
  p = p * t + 0.4822378158569336f;
  p = p * t - 0.1279396265745163f;
  p = p * t + 0.2346661537885666f;
  p = p * t + 0.23693332076072693f;
  p = p * t + 0.28303390741348267f;
  p = p * t + 0.2820568382740021f;
  // The square of the first bits of x is exact.
  const float first = with_bits(bits_of(a) & 0xfffff000u), d = 0.5f * (a - first) * (a + first);
  const float e = exp(-0.5f * first * first) * (1 - d * (1 - d * (0.5f - d * (1.0f / 6))));
  const float tail = 0.5f * e * t * p;
  return {x > 0 ? 1 - tail : tail, 0.39894228f * e};
}

}  // namespace

}  // namespace sinter::kernel
