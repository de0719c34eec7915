#include "numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace sinter::bpu::witness {

namespace {

__extension__ using Wide = __int128;

// p / q of r 2^shift, where that is within 2^64 of 1.
struct Fraction {
  Wide p, q;
};
Fraction scaled(const Rational& r, int shift) {
  const int power = r.exponent + shift;
  return {static_cast<Wide>(r.p) << std::max(power, 0), static_cast<Wide>(r.q) << std::max(-power, 0)};
}

int64_t bits_of(int64_t v) {
  int64_t bits = 0;
  for (; v > 0; v >>= 1) ++bits;
  return bits;
}

}  // namespace

int64_t nearest(const Rational& r, int shift, Ties ties) {
  const int power = r.exponent + shift;
  if (r.p == 0 || power < -64) return 0;
  if (power > 64) return int64_t{1} << 60;
  const auto [p, q] = scaled(r, shift);
  const Wide whole = p / q, twice = 2 * (p % q);
  const bool tie_up = ties == Ties::up || (ties == Ties::even && whole % 2 == 1);
  const Wide result = whole + (twice > q || (twice == q && tie_up) ? 1 : 0);
  return result > (Wide{1} << 60) ? int64_t{1} << 60 : static_cast<int64_t>(result);
}

int exponent_of(const Rational& r) {
  // Within one of it.
  const int near = static_cast<int>(bits_of(r.p) - bits_of(r.q)) + r.exponent;
  const auto [p, q] = scaled(r, -near);
  return p >= q ? near + 1 : near;
}

bool less(const Rational& a, const Rational& b) {
  if (a.p == 0 || b.p == 0) return a.p == 0 && b.p != 0;
  const int e = exponent_of(a), f = exponent_of(b);
  if (e != f) return e < f;
  // Within a factor of two of each other, so that the cross products need about as many bits.
  Wide left = static_cast<Wide>(a.p) * b.q, right = static_cast<Wide>(b.p) * a.q;
  const int shift = a.exponent - b.exponent;
  (shift > 0 ? left : right) <<= std::abs(shift);
  return left < right;
}

bool equal(const Rational& a, const Rational& b) { return !less(a, b) && !less(b, a); }

Rational exact(float scale) {
  int exponent = 0;
  const float fraction = std::frexp(scale, &exponent);
  return {static_cast<int64_t>(std::ldexp(fraction, 24)), 1, exponent - 24};
}

Rational operator*(const Rational& a, const Rational& b) { return {a.p * b.p, a.q * b.q, a.exponent + b.exponent}; }
Rational operator/(const Rational& a, const Rational& b) { return {a.p * b.q, a.q * b.p, a.exponent - b.exponent}; }

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

int64_t six(const Value& value, int64_t low, int64_t high, bool half_up) {
  Value whole = value;
  whole.low = static_cast<int32_t>(low);
  whole.high = static_cast<int32_t>(high);
  return quantized(6.0f, whole, half_up);
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
