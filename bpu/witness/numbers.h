#pragma once
// Private: the arithmetic of the witness, exact and its own.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../program.h"

namespace sinter::bpu::witness {

/// p / q * 2^exponent, exactly; p and q at least 0 and below 2^62: products and quotients of a few scales and counts.
struct Rational {
  int64_t p = 0, q = 1;
  int exponent = 0;
};
Rational exact(float scale);
Rational operator*(const Rational& a, const Rational& b);
Rational operator/(const Rational& a, const Rational& b);

bool less(const Rational& a, const Rational& b);
bool equal(const Rational& a, const Rational& b);
/// e with 2^(e - 1) <= r < 2^e, for r above 0.
int exponent_of(const Rational& r);

/// Which integer a number in the middle of two becomes.
enum class Ties { even, up, down };
/// The integer nearest to r 2^shift; 2^60 for anything larger.
int64_t nearest(const Rational& r, int shift, Ties ties);

/// value / 2^shift, rounded as the march rounds.
int64_t rounded(int64_t value, int shift, bool half_up);
int64_t rounded(long double value, bool half_up);

/// A real number as the integer of a value: the product with 1 / scale in float32, as the specification has it.
int64_t quantized(float x, const Value& value, bool half_up);

/// The integer of a ReLU6's bound, within these.
int64_t six(const Value& value, int64_t low, int64_t high, bool half_up);

/// The largest magnitude that a value's integers may have.
int64_t reach(const Value& value);

/// Attributes of an instruction's operation, by name.
class Attributes {
 public:
  explicit Attributes(const Instruction& step);
  const Field::Value* find(std::string_view name) const;
  template <class T>
  T get(std::string_view name, T otherwise) const {
    const Field::Value* value = find(name);
    return value == nullptr ? otherwise : std::get<T>(*value);
  }
  /// Height and width.
  std::array<int64_t, 2> pair(std::string_view name) const;
  /// Of a shape of that rank, counted from the front.
  int axis(int rank) const;

 private:
  std::vector<Field> fields_;
};

}  // namespace sinter::bpu::witness
