#pragma once
// Private: the arithmetic of the witness, exact and its own.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../program.h"

namespace sinter::bpu::witness {

/// p / q * 2^exponent, exactly; p and q at least 0 and below 2^62.
struct Rational {
  int64_t p = 0, q = 1;
  int exponent = 0;
};
Rational exact(float scale);
Rational operator*(const Rational& a, const Rational& b);
Rational operator/(const Rational& a, const Rational& b);

/// The multipliers that the scales ask for: those of the largest shift for which they and their terms stay small; all
/// -1 where there are none.
quant::Multiplier asked_for(const quant::March& march, const Rational& ratio, const Rational& skip_ratio,
                            int64_t skip_reach);

/// value / 2^shift, rounded as the march rounds.
int64_t rounded(int64_t value, int shift, bool half_up);
int64_t rounded(long double value, bool half_up);

/// A real number as the integer of a value: the product with 1 / scale in float32, as the specification has it.
int64_t quantized(float x, const Value& value, bool half_up);

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
