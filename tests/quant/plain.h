#pragma once
// The integer contract once more, from SPEC.md alone and in exact integer arithmetic: what quant/ is tested against.
// Nothing of quant/ is used here.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "../../core/error.h"

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

inline int64_t limited(Wide y, int64_t low, int64_t high) {
  return y < low ? low : y > high ? high : static_cast<int64_t>(y);
}

/// y = finish(first a + second b) of one datapath, SPEC.md section 4.
struct By {
  int64_t first = 1, second = 0;
  int pre = 0;
  int64_t m = 1;
  int post = 0;
  bool operator==(const By&) const = default;
};

inline double half_up(double v) { return std::floor(v + 0.5); }

/// The datapath of a built-in march; of any other name: `single`.
class Path {
 public:
  explicit Path(const std::string& march)
      : kind_(march == "bernoulli"                                              ? Kind::shift
              : march == "bernoulli2" || march == "bayes" || march == "bayes_e" ? Kind::two_stage
                                                                                : Kind::single),
        aligned_(march != "bernoulli2"),
        max_pre_(march == "bernoulli2" ? 31 : 17) {}

  By accumulator(double unit, double s_y, int bits = 8) const { return ratio(unit / s_y, bits); }
  By mean(double unit, int64_t count, double s_y, int bits = 8) const {
    return ratio(unit / (static_cast<double>(count) * s_y), bits);
  }
  By narrow(double s_x, double s_y, int bits = 8) const {
    By by = ratio(s_x / s_y, bits);
    if (kind_ != Kind::two_stage) return by;
    by.post = std::min(by.pre + by.post, 31);
    by.pre = 0;
    return by;
  }

  By residual(double unit, double s_skip, int64_t skip_reach, double s_y, int bits = 8, int skip_bits = 8) const {
    if (kind_ == Kind::single) return once(unit / s_y, s_skip / s_y, skip_reach);
    if (kind_ == Kind::shift) return sum(unit, s_skip, skip_reach, s_y, bits);
    By by = accumulator(unit, s_y, bits);
    const double k = s_skip / unit;
    for (int el = 0; el <= (skip_bits > 8 ? 0 : 8); ++el)
      if (const double em = half_up(k / std::exp2(el)); em >= 1 && em <= 32767) {
        by.second = static_cast<int64_t>(em) << el;
        return by;
      }
    fail("plain: a residual of the ratio ", k);
  }

  /// The smallest unit of an accumulator with which int8 residuals of this scale have integers.
  double least_unit(double s_skip) const {
    return kind_ == Kind::single ? 0 : kind_ == Kind::shift ? s_skip / 0x1p22 : s_skip / (32767.0 * 256);
  }

  /// b's unit may be negative: it is taken away.
  By sum(double a, double b, int64_t reach, double s_y, int bits = 8, int x_bits = 8) const {
    if (b == 0 && kind_ != Kind::single) return accumulator(a, s_y, bits);
    const bool swap = std::fabs(b) > std::fabs(a);
    const double large = swap ? b : a, small = swap ? a : b;
    By by;
    if (kind_ == Kind::single) {
      by = once(std::fabs(large) / s_y, std::fabs(small) / s_y, reach);
      by.first = large < 0 ? -by.first : by.first;
      by.second = small < 0 ? -by.second : by.second;
    } else if (int e = 0; kind_ == Kind::shift && std::frexp(std::fabs(small / large), &e) != 0.5) {
      // A slope: factors of 15 bits of the larger.
      std::frexp(std::fabs(large), &e);
      by.first = static_cast<int64_t>(half_up(large * std::exp2(15 - e)));
      by.second = static_cast<int64_t>(half_up(small * std::exp2(15 - e)));
      by.post = 15 - e + static_cast<int>(std::log2(s_y));
    } else if (kind_ == Kind::shift) {  // both on the finer grid
      by = ratio(std::fabs(small) / s_y, bits);
      by.first = static_cast<int64_t>(large / std::fabs(small));
      by.second = small < 0 ? -1 : 1;
    } else if (aligned_) {
      const double sign = large < 0 ? -1 : 1, x = std::fabs(large), other = small * sign;
      const int shift =
          std::min(x_bits > 8 ? 15 : 23, static_cast<int>(std::floor(std::log2(32767 * x / std::fabs(other)))));
      by = ratio(sign * x / std::exp2(shift) / s_y, bits);
      by.first = int64_t{1} << shift;
      by.second = static_cast<int64_t>(std::fmax(-32767, std::fmin(32767, half_up(other * std::exp2(shift) / x))));
    } else {
      const double f = std::fabs(small), g = std::fabs(large), u = std::fmax(f / 127, g / 0x1p25);
      int e = 0;
      const double h = std::frexp(half_up(g / u), &e);
      const auto q = static_cast<int64_t>(std::fmin(std::floor(h * std::exp2(std::min(e, 15))), 32767));
      by = ratio(u / s_y, bits);
      by.first = (q << std::max(e - 15, 0)) * (large < 0 ? -1 : 1);
      by.second = static_cast<int64_t>(std::fmax(-128, std::fmin(127, half_up(f / u)))) * (small < 0 ? -1 : 1);
    }
    if (swap) std::swap(by.first, by.second);
    return by;
  }

  int64_t apply(const By& by, int64_t a, int64_t b, int64_t low, int64_t high) const {
    const Wide all = static_cast<Wide>(a) * by.first + static_cast<Wide>(b) * by.second;
    if (kind_ == Kind::single) return limited(rounded(all, by.post, false), low, high);
    if (kind_ == Kind::shift) return limited(rounded(all * by.m, by.post, true), low, high);
    const int64_t t = limited(all >> by.pre, -32768, 32767);
    return limited(rounded(static_cast<Wide>(t) * by.m, by.post, true), low, high);
  }

  /// v / 2^n as the machine's last shift rounds it.
  int64_t shifted(int64_t v, int n) const { return static_cast<int64_t>(rounded(v, n, kind_ != Kind::single)); }

 private:
  enum class Kind { two_stage, shift, single };

  By once(double first, double second, int64_t reach) const {
    const auto found = multiplier(first, second, reach);
    check(found.has_value(), "plain: no multiplier for ", first, " and ", second);
    return {found->m, found->skip, 0, 1, found->shift};
  }

  By ratio(double r, int bits) const {
    if (kind_ == Kind::single) return once(r, 0, 0);
    By by;
    int e = 0;
    if (kind_ == Kind::shift) {
      const double f = std::frexp(r, &e);
      if (f == 0.5) {  // a power of two: a shift
        by.post = std::max(1 - e, 0);
        by.m = int64_t{1} << std::max(e - 1, 0);
      } else {
        by.m = static_cast<int64_t>(std::fmin(half_up(f * 32768), 32767));
        by.post = 15 - e;
      }
      return by;
    }
    const double f = std::frexp(std::fmax(-32768, std::fmin(32767, r)), &e);
    by.m = static_cast<int64_t>(std::fmax(-32768, std::fmin(32767, half_up(f * 32768))));
    const int total = 15 - e, post_max = 29 - (bits - 1);
    by.pre = std::min(std::max(total - post_max, 0), max_pre_);
    by.post = std::min(std::max(total - by.pre, 0), 31);
    return by;
  }

  Kind kind_;
  bool aligned_;
  int max_pre_;
};

}  // namespace sinter::test::plain
