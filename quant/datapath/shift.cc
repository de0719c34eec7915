#include "shift.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"
#include "../../core/kernel/requantize.h"
#include "rows.h"

namespace sinter::quant {

namespace {

constexpr int64_t kLargest = (int64_t{1} << 31) - 1;
constexpr int kMaxLeft = 22;  // bits that 8 are shifted to the left at most

// The exponent of a power of two; none for another number.
bool is_power_of_two(double v, int& exponent) {
  const bool power = std::frexp(v, &exponent) == 0.5;
  --exponent;
  return power;
}

int exponent_of(double v, const char* what) {
  int exponent = 0;
  check(is_power_of_two(v, exponent), "the ", what, " ", v, " is no power of two, as the datapath shift wants it");
  return exponent;
}

// a 2^-n
Rescaling by_shift(int n) {
  Rescaling by;
  check(n >= -15 && n <= 40, "the ratio 2^", -n, " of input to output scale is out of the datapath's reach");
  if (n < 0) by.m = int32_t{1} << -n;
  by.post = std::max(n, 0);
  return by;
}

int32_t one(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) {
  const int64_t sum = (by.first * a + by.second * b) * by.m;
  const int64_t half = by.post > 0 ? int64_t{1} << (by.post - 1) : 0;
  return static_cast<int32_t>(std::clamp<int64_t>((sum + half) >> by.post, y.low, y.high));
}

class Lanes final : public Rescaler {
 public:
  explicit Lanes(Rescalings r) : r_(std::move(r)) {
    const size_t channels = r_.by.size();
    for (auto* numbers : {&first_, &second_, &post_}) numbers->resize(channels);
    for (size_t c = 0; c < channels; ++c) {
      const Rescaling& by = r_.by[c];
      first_[c] = static_cast<int32_t>(by.first);
      second_[c] = static_cast<int32_t>(by.second);
      post_[c] = by.post;
      plain_ = plain_ && by.first == 1;
      narrow_ = narrow_ && by.m == 1 && by.post < 31;
    }
  }

  void run(const Rows& rows) const override {
    if (!narrow_) return rescale_rows(r_, rows, one);
    auto k = kernel_arguments<kernel::IntegerRescale>(r_, rows);
    k.first = plain_ ? nullptr : first_.data();
    k.second = second_.data();
    k.post = post_.data();
    kernel::requantize_kernels().integers(k, rows.count);
  }

 private:
  Rescalings r_;
  bool plain_ = true, narrow_ = true;
  std::vector<int32_t> first_, second_, post_;
};

}  // namespace

void Shift::validate() const {
  check(numbers.multiplier_bits >= 1 && numbers.multiplier_bits <= 15, "datapath shift: multiplier_bits is ",
        numbers.multiplier_bits, ", expected 1 to 15");
}

int64_t Shift::limit() const { return kLargest; }

Rescaling Shift::accumulator(double unit, const Grid& y) const {
  return by_shift(exponent_of(y.scale, "output's scale") - exponent_of(unit, "accumulator's unit"));
}

Rescaling Shift::narrow(const Grid& x, const Grid& y) const { return accumulator(x.scale, y); }

double Shift::least_unit(const Grid& skip) const {
  return std::ldexp(static_cast<double>(skip.scale), skip.bits > 8 ? 8 - kMaxLeft : -kMaxLeft);
}

Rescaling Shift::residual(double unit, const Grid& skip, const Grid& y) const {
  return sum(unit, skip.scale, skip.bits, y);
}

// Both on the finer of their grids.
Rescaling Shift::sum(double first, double second, int, const Grid& y) const {
  if (second == 0) return accumulator(first, y);
  int a = 0, b = 0;
  if (is_power_of_two(std::abs(first), a) && is_power_of_two(std::abs(second), b)) {
    const int finest = std::min(a, b);
    check(std::max(a, b) - finest <= 30, "the units ", first, " and ", second, " are too far apart to be aligned");
    Rescaling by = by_shift(exponent_of(y.scale, "output's scale") - finest);
    by.first = static_cast<int64_t>(std::copysign(std::ldexp(1.0, a - finest), first));
    by.second = static_cast<int64_t>(std::copysign(std::ldexp(1.0, b - finest), second));
    return by;
  }
  // A slope: multipliers whose larger one is just below 2^bits.
  const double larger = std::max(std::abs(first), std::abs(second));
  int exponent = 0;
  std::frexp(larger, &exponent);
  const int bits = static_cast<int>(numbers.multiplier_bits) - 1;
  Rescaling by = by_shift(exponent_of(y.scale, "output's scale") - exponent + 1 + bits);
  by.first = static_cast<int64_t>(std::floor(std::ldexp(first, bits + 1 - exponent) + 0.5));
  by.second = static_cast<int64_t>(std::floor(std::ldexp(second, bits + 1 - exponent) + 0.5));
  return by;
}

Rescaling Shift::mean(double unit, int64_t count, const Grid& y) const {
  const double ratio = unit / (static_cast<double>(count) * static_cast<double>(y.scale));
  int exponent = 0;
  if (is_power_of_two(ratio, exponent)) return by_shift(-exponent);
  const double fraction = std::frexp(ratio, &exponent);
  const int bits = static_cast<int>(numbers.multiplier_bits);
  Rescaling by;
  by.m = static_cast<int32_t>(std::min(std::floor(std::ldexp(fraction, bits) + 0.5), std::ldexp(1.0, bits) - 1));
  by.post = bits - exponent;
  check(by.post >= 0 && by.post <= 46, "the ratio ", ratio, " of input to output scale is out of the datapath's reach");
  return by;
}

int32_t Shift::rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const { return one(a, b, by, y); }

ShiftRounding Shift::shift_rounding() const { return ShiftRounding::half_up; }

const char* Shift::fault(const Rescaling& by) const {
  if (by.pre != 0) return "it has a first shift";
  if (by.post < 0 || by.post > 46) return "its shift is out of 0..46";
  if (by.m < 1 || by.m > 1 << 15) return "its multiplier does not fit the hardware";
  return nullptr;
}

std::unique_ptr<const Rescaler> Shift::rescaler(Rescalings rescalings) const {
  return std::make_unique<const Lanes>(std::move(rescalings));
}

}  // namespace sinter::quant
