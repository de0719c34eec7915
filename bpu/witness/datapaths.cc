#include "datapaths.h"

#include <algorithm>
#include <cstdlib>

namespace sinter::bpu::witness {

namespace {

Rational over(const Rational& ratio, const Value& y) { return ratio / exact(y.scale); }

Rational times_power(Rational r, int exponent) {
  r.exponent += exponent;
  return r;
}

int64_t bit_width(int64_t v) {
  int64_t bits = 0;
  for (; v > 0; v >>= 1) ++bits;
  return bits;
}

// e of a power of two 2^e.
int power_of(const Rational& r) {
  const int e = exponent_of(r) - 1;
  check(nearest(r, -e, Ties::even) == 1 && nearest(r, 20 - e, Ties::even) == 1 << 20,
        "reference: a scale is no power of two, as the datapath shift has them");
  return e;
}

bool is_power(const Rational& r) {
  const int e = exponent_of(r) - 1;
  return equal(r, {1, 1, e});
}

}  // namespace

Datapath::Datapath(const quant::March& march) : fields_(march.datapath->fields()) {
  const std::string_view name = march.datapath->name();
  check(name == "two_stage" || name == "shift" || name == "single", "reference: the datapath ", name,
        " has no witness, only two_stage, shift and single have");
  kind_ = name == "two_stage" ? Kind::two_stage : name == "shift" ? Kind::shift : Kind::single;
}

int64_t Datapath::number(const char* name) const {
  for (const Field& field : fields_)
    if (field.name == name) {
      if (const bool* flag = std::get_if<bool>(&field.value)) return *flag ? 1 : 0;
      return std::get<int64_t>(field.value);
    }
  fail("reference: the datapath has no ", name);
}

// m / 2^total is the ratio in 16 bits; the total is split into a first shift and a second one.
quant::Rescaling Datapath::staged(const Rational& ratio, bool negative, int bits) const {
  const int64_t most = negative ? 32768 : 32767;
  const Rational clipped = less({most, 1, 0}, ratio) ? Rational{most, 1, 0} : ratio;
  const int exponent = exponent_of(clipped), total = 15 - exponent;
  const int64_t m = std::min(nearest(clipped, 15 - exponent, negative ? Ties::down : Ties::up), most);
  quant::Rescaling by;
  by.m = static_cast<int32_t>(negative ? -m : m);
  const int64_t first = std::clamp<int64_t>(total - (30 - bits), 0, number("max_pre"));
  by.pre = static_cast<int32_t>(first);
  by.post = static_cast<int32_t>(std::clamp<int64_t>(total - first, 0, 31));
  return by;
}

// times 2^exponent
quant::Rescaling Datapath::by_power(int exponent) const {
  quant::Rescaling by;
  if (exponent > 0) by.m = 1 << exponent;
  if (exponent < 0) by.post = -exponent;
  return by;
}

quant::Rescaling Datapath::once(const Rational& first, const Rational& second, int64_t second_reach) const {
  for (auto n = static_cast<int>(number("max_shift")); n >= 0; --n) {
    const int64_t m = nearest(first, n, Ties::even), other = nearest(second, n, Ties::even);
    const bool fits = static_cast<long double>(other) * static_cast<long double>(second_reach) < 0x1p46L;
    if (m < (int64_t{1} << number("multiplier_bits")) && fits) {
      quant::Rescaling by;
      by.first = m;
      by.second = other;
      by.post = n;
      return by;
    }
  }
  quant::Rescaling none;
  none.first = none.post = -1;
  return none;
}

quant::Rescaling Datapath::accumulator(const Rational& unit, const Value& y) const {
  if (kind_ == Kind::two_stage) return staged(over(unit, y), false, y.bits);
  if (kind_ == Kind::shift) return by_power(power_of(over(unit, y)));
  return once(over(unit, y), {}, 0);
}

quant::Rescaling Datapath::residual(const Rational& unit, const Value& skip, const Value& y) const {
  if (kind_ == Kind::shift) return sum(unit, exact(skip.scale), false, skip.bits, y);
  if (kind_ == Kind::single) return once(over(unit, y), exact(skip.scale) / exact(y.scale), reach(skip));
  quant::Rescaling by = staged(over(unit, y), false, y.bits);
  const Rational ratio = exact(skip.scale) / unit;
  int left = 0;
  while (left < 8 && skip.bits <= 8 && nearest(ratio, -left, Ties::up) > 32767) ++left;
  by.second = nearest(ratio, -left, Ties::up) << left;
  return by;
}

quant::Rescaling Datapath::narrow(const Value& x, const Value& y) const {
  quant::Rescaling by = accumulator(exact(x.scale), y);
  if (kind_ == Kind::two_stage) {  // no 16-bit stage to shift for
    const int total = 15 - exponent_of(exact(x.scale) / exact(y.scale));
    by.pre = 0;
    by.post = std::clamp(total, 0, 31);
  }
  return by;
}

quant::Rescaling Datapath::sum(const Rational& first, const Rational& second, bool negative, int bits,
                               const Value& y) const {
  if (second.p == 0) return accumulator(first, y);
  const bool swapped = less(first, second);
  const Rational &large = swapped ? second : first, &small = swapped ? first : second;
  quant::Rescaling by;
  if (kind_ == Kind::single) {
    by = once(over(large, y), over(small, y), int64_t{1} << (bits - 1));
    if (swapped) std::swap(by.first, by.second);
    if (negative) by.second = -by.second;
    return by;
  }
  if (kind_ == Kind::shift) {
    if (is_power(first) && is_power(second)) {
      const int finest = exponent_of(small) - 1, difference = exponent_of(large) - 1 - finest;
      by = by_power(finest - power_of(exact(y.scale)));
      (swapped ? by.second : by.first) = int64_t{1} << difference;
      (swapped ? by.first : by.second) = 1;
      if (negative) by.second = -by.second;
      return by;
    }
    const int exponent = exponent_of(large), digits = static_cast<int>(number("multiplier_bits"));
    by = by_power(exponent - digits - power_of(exact(y.scale)));
    by.first = nearest(first, digits - exponent, Ties::up);
    by.second = nearest(second, digits - exponent, negative ? Ties::down : Ties::up) * (negative ? -1 : 1);
    return by;
  }
  if (number("shifted_sums") == 1) {
    const int shift = std::min(bits > 8 ? 15 : 23, exponent_of(Rational{32767, 1, 0} * large / small) - 1);
    // Where the larger one is taken away, the whole is the negative of a difference.
    const int64_t factor =
        std::min<int64_t>(nearest(small / large, shift, negative ? Ties::down : Ties::up), 32767) * (negative ? -1 : 1);
    by = staged(over(times_power(large, -shift), y), negative && swapped, y.bits);
    (swapped ? by.second : by.first) = int64_t{1} << shift;
    (swapped ? by.first : by.second) = factor;
    return by;
  }
  const Rational by_small = small / Rational{127, 1, 0}, by_large = times_power(large, -25);
  const Rational unit = less(by_small, by_large) ? by_large : by_small;
  const int64_t of_small = std::min<int64_t>(nearest(small / unit, 0, Ties::up), 127);
  int64_t of_large = nearest(large / unit, 0, Ties::up);
  const int64_t cut = std::max<int64_t>(bit_width(of_large) - 15, 0);
  of_large = of_large >> cut << cut;
  by = staged(over(unit, y), false, y.bits);
  by.first = swapped ? of_small : of_large;
  by.second = swapped ? of_large : of_small;
  if (negative) by.second = -by.second;
  return by;
}

quant::Rescaling Datapath::mean(const Rational& unit, int64_t count, const Value& y) const {
  const Rational ratio = over(unit, y) / Rational{count, 1, 0};
  if (kind_ == Kind::two_stage) return staged(ratio, false, y.bits);
  if (kind_ == Kind::single) return once(ratio, {}, 0);
  if (is_power(ratio)) return by_power(exponent_of(ratio) - 1);
  const int digits = static_cast<int>(number("multiplier_bits")), exponent = exponent_of(ratio);
  quant::Rescaling by;
  by.m = static_cast<int32_t>(std::min(nearest(ratio, digits - exponent, Ties::up), (int64_t{1} << digits) - 1));
  by.post = digits - exponent;
  return by;
}

int64_t Datapath::shifted(int64_t value, int shift) const {
  if (kind_ == Kind::single) return rounded(value, shift, false);
  if (kind_ == Kind::shift || number("rounds") == 1) return rounded(value, shift, true);
  return value >> shift;
}

int64_t Datapath::rescaled(int64_t a, int64_t b, const quant::Rescaling& by) const {
  const int64_t sum = by.first * a + by.second * b;
  if (kind_ != Kind::two_stage) return shifted(sum * by.m, by.post);
  return shifted(std::clamp<int64_t>(sum >> by.pre, -32768, 32767) * by.m, by.post);
}

}  // namespace sinter::bpu::witness
