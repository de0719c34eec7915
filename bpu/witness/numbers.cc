#include "numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace sinter::bpu::witness {

namespace {

__extension__ using Wide = __int128;

// The integer nearest to r 2^shift, ties to even; 2^60 for anything larger.
int64_t nearest(const Rational& r, int shift) {
  const int power = r.exponent + shift;
  if (r.p == 0 || power < -64) return 0;
  if (power > 64) return int64_t{1} << 60;
  const Wide p = static_cast<Wide>(r.p) << std::max(power, 0), q = static_cast<Wide>(r.q) << std::max(-power, 0);
  const Wide whole = p / q, twice = 2 * (p % q);
  const Wide result = whole + (twice > q || (twice == q && whole % 2 == 1) ? 1 : 0);
  return result > (Wide{1} << 60) ? int64_t{1} << 60 : static_cast<int64_t>(result);
}

}  // namespace

Rational exact(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);
  return {static_cast<int64_t>(std::ldexp(fraction, 24)), 1, exponent - 24};
}

Rational operator*(const Rational& a, const Rational& b) { return {a.p * b.p, a.q * b.q, a.exponent + b.exponent}; }
Rational operator/(const Rational& a, const Rational& b) { return {a.p * b.q, a.q * b.p, a.exponent - b.exponent}; }

quant::Multiplier asked_for(const quant::March& march, const Rational& ratio, const Rational& skip_ratio,
                            int64_t skip_reach) {
  for (int shift = march.max_shift; shift >= 0; --shift) {
    const int64_t m = nearest(ratio, shift), skip = nearest(skip_ratio, shift);
    const bool fits = static_cast<Wide>(skip) * skip_reach < (Wide{1} << 46);
    if (m < (int64_t{1} << march.multiplier_bits) && fits) return {static_cast<int32_t>(m), shift, skip};
  }
  return {-1, -1, -1};
}

int64_t rounded(int64_t value, int shift, bool half_up) {
  if (shift == 0) return value;
  const int64_t floor = value >> shift, rest = value - (floor << shift), half = int64_t{1} << (shift - 1);
  if (rest != half) return floor + (rest > half ? 1 : 0);
  return half_up || floor % 2 != 0 ? floor + 1 : floor;
}

int64_t rounded(long double value, bool half_up) {
  const long double floor = std::floor(value), rest = value - floor;
  const bool up = rest > 0.5L || (rest == 0.5L && (half_up || std::fmod(floor, 2.0L) != 0));
  return static_cast<int64_t>(floor) + (up ? 1 : 0);
}

int64_t quantized(float x, const Value& value, bool half_up) {
  const float v = x * (1.0f / value.scale);
  if (std::isnan(v)) return 0;
  if (v <= static_cast<float>(value.low)) return value.low;
  if (v >= static_cast<float>(value.high)) return value.high;
  return rounded(static_cast<long double>(v), half_up);
}

int64_t reach(const Value& value) {
  return std::max(std::abs(static_cast<int64_t>(value.low)), std::abs(static_cast<int64_t>(value.high)));
}

Attributes::Attributes(const Instruction& step)
    : fields_(step.op == nullptr ? std::vector<Field>() : step.op->fields()) {}

const Field::Value* Attributes::find(std::string_view name) const {
  for (const Field& field : fields_)
    if (field.name == name) return &field.value;
  return nullptr;
}

std::array<int64_t, 2> Attributes::pair(std::string_view name) const {
  const auto both = std::get<std::vector<int64_t>>(*find(name));
  return {both.at(0), both.at(1)};
}

int Attributes::axis(int rank) const {
  const auto axis = std::get<int64_t>(*find("axis"));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace sinter::bpu::witness
