#pragma once
// Private: the datapaths once more, from their definitions in SPEC.md, section 4, in integers and rationals; nothing is
// shared with quant/datapath.

#include "numbers.h"

namespace sinter::bpu::witness {

/// What a layer asks its march's datapath for: which integers stand for these ratios.
class Datapath {
 public:
  explicit Datapath(const quant::March& march);

  quant::Rescaling accumulator(const Rational& unit, const Value& y) const;
  quant::Rescaling residual(const Rational& unit, const Value& skip, const Value& y) const;
  quant::Rescaling narrow(const Value& x, const Value& y) const;
  /// `negative`: the second operand is taken away.
  quant::Rescaling sum(const Rational& first, const Rational& second, bool negative, int bits, const Value& y) const;
  quant::Rescaling mean(const Rational& unit, int64_t count, const Value& y) const;

  /// first a + second b, shifted, multiplied and rounded, not yet limited to y's bounds.
  int64_t rescaled(int64_t a, int64_t b, const quant::Rescaling& by) const;
  /// value / 2^shift, rounded as the last shift of the hardware.
  int64_t shifted(int64_t value, int shift) const;

 private:
  enum class Kind { two_stage, shift, single };
  quant::Rescaling staged(const Rational& ratio, bool negative, int bits) const;
  quant::Rescaling by_power(int exponent) const;
  quant::Rescaling once(const Rational& first, const Rational& second, int64_t second_reach) const;
  int64_t number(const char* name) const;

  Kind kind_;
  std::vector<Field> fields_;
};

}  // namespace sinter::bpu::witness
