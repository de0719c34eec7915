#pragma once

#include "datapath.h"

namespace sinter::quant {

struct ShiftNumbers {
  int64_t multiplier_bits = 15;  ///< of pooling and of slopes (assumed), which are no powers of two
};
SINTER_FIELDS(ShiftNumbers, multiplier_bits)

/// y = sat((a + (1 << (n - 1))) >> n), for scales that are powers of two (bernoulli). Operands are aligned by shifts; n
/// below 0 shifts to the left.
class Shift final : public DatapathWith<ShiftNumbers> {
 public:
  using DatapathWith::DatapathWith;
  std::string_view name() const override { return "shift"; }
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
};

}  // namespace sinter::quant
