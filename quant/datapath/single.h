#pragma once

#include "datapath.h"

namespace sinter::quant {

struct SingleNumbers {
  int64_t multiplier_bits = 15;  ///< multipliers are below 2^bits
  int64_t max_shift = 46;        ///< largest n in m / 2^n
};
SINTER_FIELDS(SingleNumbers, multiplier_bits, max_shift)

/// y = sat(round((a m + b ms) / 2^n)), one rounding, half to even (nash, and machines of one's own): n is the largest
/// in 0..max_shift for which the multipliers, rounded half to even, and their terms stay small.
class Single final : public DatapathWith<SingleNumbers> {
 public:
  using DatapathWith::DatapathWith;
  std::string_view name() const override { return "single"; }
  void validate() const override;
  Rescaling accumulator(double unit, const Grid& y) const override;
  Rescaling residual(double unit, const Grid& skip, const Grid& y) const override;
  double least_unit(const Grid& skip) const override;
  Rescaling narrow(const Grid& x, const Grid& y) const override;
  Rescaling sum(double first, double second, int bits, const Grid& y) const override;
  Rescaling mean(double unit, int64_t count, const Grid& y) const override;
  int32_t rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const override;
  int64_t limit() const override;
  ShiftRounding shift_rounding() const override;
  std::unique_ptr<const Rescaler> rescaler(Rescalings rescalings) const override;

 protected:
  const char* fault(const Rescaling& by) const override;

 private:
  Rescaling of_ratios(double first, double second, int64_t second_reach) const;
};

}  // namespace sinter::quant
