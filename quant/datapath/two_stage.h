#pragma once

#include "datapath.h"

namespace sinter::quant {

struct TwoStageNumbers {
  int64_t max_pre = 17;      ///< the most that an accumulator is shifted before the 16-bit stage
  bool shifted_sums = true;  ///< of two operands the larger-scaled one is shifted; else both are multiplied
  bool rounds = true;        ///< `post` rounds half up (assumed); else it truncates
};
SINTER_FIELDS(TwoStageNumbers, max_pre, shifted_sums, rounds)

/// t = sat16(a >> pre), y = sat((t * m) >> post), as the vendor's compiler interface and training plugin have it for
/// bernoulli2, bayes and bayes_e (SPEC.md, section 4).
class TwoStage final : public DatapathWith<TwoStageNumbers> {
 public:
  using DatapathWith::DatapathWith;
  std::string_view name() const override { return "two_stage"; }
  void validate() const override;
  Rescaling accumulator(double unit, const Grid& y) const override;
  Rescaling residual(double unit, const Grid& skip, const Grid& y) const override;
  double least_unit(const Grid& skip) const override;
  Rescaling narrow(const Grid& x, const Grid& y) const override;
  Rescaling sum(double first, double second, int bits, const Grid& y) const override;
  Rescaling mean(double unit, int64_t count, const Grid& y) const override;
  int32_t rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const override;
  int64_t limit() const override;
  const char* loss(const Rescaling& by, int bits) const override;
  ShiftRounding shift_rounding() const override;
  std::unique_ptr<const Rescaler> rescaler(Rescalings rescalings) const override;

 protected:
  const char* fault(const Rescaling& by) const override;

 private:
  Rescaling of_ratio(double ratio, int bits) const;
};

}  // namespace sinter::quant
