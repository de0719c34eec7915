#pragma once
// The integer contract once more, from SPEC.md alone and in exact integer arithmetic: what quant/ is tested against.
// Nothing of quant/ is used here.

#include <cmath>
#include <cstdint>
#include <optional>

namespace sinter::test::plain {

__extension__ typedef __int128 Wide;

struct Multiplier {
  int64_t m = 0;
  int shift = 0;
  int64_t skip = 0;
};

/// value * 2^n rounded half to even, value >= 0; none where it is 2^99 or more.
inline std::optional<Wide> scaled_and_rounded(double value, int n) {
  int exponent = 0;
  const auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
  const int shift = exponent - 53 + n;  // value 2^n = mantissa 2^shift
  if (mantissa == 0) return 0;
  if (shift > 46) return std::nullopt;
  if (shift >= 0) return static_cast<Wide>(mantissa) << shift;
  if (shift < -60) return 0;  // less than a half, as the mantissa has 53 bits
  const int64_t whole = mantissa >> -shift, rest = mantissa - (whole << -shift), half = int64_t{1} << (-shift - 1);
  return whole + (rest > half || (rest == half && whole % 2 == 1));
}

/// The largest n in 0..46 for which m = ratio 2^n < 2^15 and ms = skip_ratio 2^n < 2^46 / skip_reach; or of so many
/// bits, and n up to `largest`.
inline std::optional<Multiplier> multiplier(double ratio, double skip_ratio, int64_t skip_reach, int bits = 15,
                                            int largest = 46) {
  for (int n = largest; n >= 0; --n) {
    const auto m = scaled_and_rounded(ratio, n), ms = scaled_and_rounded(skip_ratio, n);
    if (m && ms && *m < (1 << bits) && *ms * skip_reach < static_cast<Wide>(1) << 46)
      return Multiplier{static_cast<int64_t>(*m), n, static_cast<int64_t>(*ms)};
  }
  return std::nullopt;
}

/// v / 2^n as an integer, ties to even or up.
inline Wide rounded(Wide v, int n, bool half_up) {
  const Wide one = static_cast<Wide>(1) << n;
  const Wide whole = v >> n;  // towards minus infinity
  const Wide twice_rest = 2 * (v - whole * one);
  return whole + (twice_rest > one || (twice_rest == one && (half_up || whole % 2 != 0)));
}

inline int32_t requantize(int64_t acc, int64_t skip, const Multiplier& by, int64_t low, int64_t high, bool half_up) {
  const Wide y = rounded(static_cast<Wide>(acc) * by.m + static_cast<Wide>(skip) * by.skip, by.shift, half_up);
  return static_cast<int32_t>(y < low ? low : y > high ? static_cast<Wide>(high) : y);
}

}  // namespace sinter::test::plain
