#include "single.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"
#include "../../core/kernel/requantize.h"
#include "rows.h"

namespace sinter::quant {

namespace {

constexpr double kTerm = 0x1p46;  // every term is below it, so that doubles hold sums and products exactly

int64_t half_to_even(int64_t a, int shift) {
  if (shift == 0) return a;
  const int64_t floor = a >> shift, rest = a - (floor << shift), half = int64_t{1} << (shift - 1);
  return floor + (rest > half || (rest == half && floor % 2 != 0) ? 1 : 0);
}

int32_t one(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) {
  return static_cast<int32_t>(std::clamp<int64_t>(half_to_even(by.first * a + by.second * b, by.post), y.low, y.high));
}

// In doubles, which hold all of it exactly.
class Doubles final : public Rescaler {
 public:
  explicit Doubles(Rescalings r) : r_(std::move(r)), scale_(r_.by.size()), skip_scale_(r_.by.size()) {
    for (size_t c = 0; c < scale_.size(); ++c) {
      scale_[c] = std::ldexp(static_cast<double>(r_.by[c].first), -r_.by[c].post);
      skip_scale_[c] = std::ldexp(static_cast<double>(r_.by[c].second), -r_.by[c].post);
    }
  }

  void run(const Rows& rows) const override {
    auto a = kernel_arguments<kernel::DoubleRescale>(r_, rows);
    a.scale = scale_.data();
    a.skip_scale = skip_scale_.data();
    kernel::requantize_kernels().doubles(a, rows.count);
  }

 private:
  Rescalings r_;
  std::vector<double> scale_, skip_scale_;
};

}  // namespace

void Single::validate() const {
  // Accumulators of 32 bits times 2^21, and a residual, are exact in double.
  check(numbers.multiplier_bits >= 1 && numbers.multiplier_bits <= 21, "datapath single: multiplier_bits is ",
        numbers.multiplier_bits, ", expected 1 to 21");
  check(numbers.max_shift >= 0 && numbers.max_shift <= 46, "datapath single: max_shift is ", numbers.max_shift,
        ", expected 0 to 46");
}

int64_t Single::limit() const { return int64_t{1} << 53; }

Rescaling Single::of_ratios(double first, double second, int64_t second_reach) const {
  check(std::isfinite(first) && std::isfinite(second), "a ratio of scales is not finite");
  const double limit = std::ldexp(1.0, static_cast<int>(numbers.multiplier_bits));
  for (int n = static_cast<int>(numbers.max_shift); n >= 0; --n) {
    const double m = std::nearbyint(std::ldexp(first, n)), ms = std::nearbyint(std::ldexp(second, n));
    if (std::abs(m) >= limit || static_cast<double>(second_reach) * std::abs(ms) >= kTerm) continue;
    Rescaling by;
    by.first = static_cast<int64_t>(m);
    by.second = static_cast<int64_t>(ms);
    by.post = n;
    return by;
  }
  fail("no ", numbers.multiplier_bits, "-bit multiplier reaches the ratio ",
       std::max(std::abs(first), std::abs(second)), " of input to output scale");
}

Rescaling Single::accumulator(double unit, const Grid& y) const {
  return of_ratios(unit / static_cast<double>(y.scale), 0, 0);
}

Rescaling Single::residual(double unit, const Grid& skip, const Grid& y) const {
  return of_ratios(unit / static_cast<double>(y.scale), static_cast<double>(skip.scale) / static_cast<double>(y.scale),
                   skip.bounds.reach());
}

double Single::least_unit(const Grid&) const { return 0; }

Rescaling Single::narrow(const Grid& x, const Grid& y) const { return accumulator(x.scale, y); }

Rescaling Single::sum(double first, double second, int bits, const Grid& y) const {
  // The limit of multipliers is the larger operand's, as the smaller one's then is below it.
  const double y_scale = y.scale;
  const bool swapped = std::abs(second) > std::abs(first);
  const double large = swapped ? second : first, small = swapped ? first : second;
  Rescaling by = of_ratios(large / y_scale, small / y_scale, type_bounds(bits).reach());
  if (swapped) std::swap(by.first, by.second);
  return by;
}

Rescaling Single::mean(double unit, int64_t count, const Grid& y) const {
  return of_ratios(unit / (static_cast<double>(count) * static_cast<double>(y.scale)), 0, 0);
}

int32_t Single::rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const { return one(a, b, by, y); }

ShiftRounding Single::shift_rounding() const { return ShiftRounding::half_to_even; }

const char* Single::fault(const Rescaling& by) const {
  if (by.pre != 0 || by.m != 1) return "it has a second stage";
  if (by.post < 0 || by.post > numbers.max_shift) return "its shift is out of the hardware's range";
  if (std::abs(static_cast<double>(by.first)) >= std::ldexp(1.0, static_cast<int>(numbers.multiplier_bits)))
    return "its multiplier does not fit the hardware";
  return nullptr;
}

std::unique_ptr<const Rescaler> Single::rescaler(Rescalings rescalings) const {
  return std::make_unique<const Doubles>(std::move(rescalings));
}

}  // namespace sinter::quant
