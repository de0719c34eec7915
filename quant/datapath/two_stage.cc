#include "two_stage.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"
#include "../../core/kernel/requantize.h"
#include "rows.h"

namespace sinter::quant {

namespace {

constexpr int64_t kLargest = (int64_t{1} << 31) - 1;
constexpr int kMaxLeft = 8;  // bits that a residual of int8 is shifted to the left, so that 16 hold it

double half_up(double v) { return std::floor(v + 0.5); }

int32_t one(int64_t a, int64_t b, const Rescaling& by, const Bounds& y, bool rounds) {
  const int64_t sum = by.first * a + by.second * b;
  const int64_t t = std::clamp<int64_t>(sum >> by.pre, INT16_MIN, INT16_MAX);
  const int64_t half = rounds && by.post > 0 ? int64_t{1} << (by.post - 1) : 0;
  return static_cast<int32_t>(std::clamp<int64_t>((t * by.m + half) >> by.post, y.low, y.high));
}

class Lanes final : public Rescaler {
 public:
  Lanes(Rescalings r, bool rounds) : r_(std::move(r)), rounds_(rounds) {
    const size_t channels = r_.by.size();
    for (auto* numbers : {&first_, &second_, &pre_, &m_, &half_, &post_}) numbers->resize(channels);
    for (size_t c = 0; c < channels; ++c) {
      const Rescaling& by = r_.by[c];
      first_[c] = static_cast<int32_t>(by.first);
      second_[c] = static_cast<int32_t>(by.second);
      pre_[c] = by.pre;
      m_[c] = by.m;
      half_[c] = rounds && by.post > 0 ? int32_t{1} << (by.post - 1) : 0;
      post_[c] = by.post;
      plain_ = plain_ && by.first == 1;
      fits_ = fits_ && !(by.m == INT16_MIN && by.post == 31);  // 2^30 and the half of its rounding
    }
  }

  void run(const Rows& rows) const override {
    if (!fits_)
      return rescale_rows(r_, rows, [this](int64_t a, int64_t b, const Rescaling& by, const Bounds& y) {
        return one(a, b, by, y, rounds_);
      });
    auto k = kernel_arguments<kernel::IntegerRescale>(r_, rows);
    k.first = plain_ ? nullptr : first_.data();
    k.second = second_.data();
    k.pre = pre_.data();
    k.m = m_.data();
    k.half = half_.data();
    k.post = post_.data();
    k.staged = true;
    kernel::requantize_kernels().integers(k, rows.count);
  }

 private:
  Rescalings r_;
  bool rounds_, plain_ = true, fits_ = true;
  std::vector<int32_t> first_, second_, pre_, m_, half_, post_;
};

}  // namespace

void TwoStage::validate() const {
  check(numbers.max_pre >= 0 && numbers.max_pre <= 31, "datapath two_stage: max_pre is ", numbers.max_pre,
        ", expected 0 to 31");
}

int64_t TwoStage::limit() const { return kLargest; }

Rescaling TwoStage::of_ratio(double ratio, int bits) const {
  check(std::isfinite(ratio) && ratio != 0, "the ratio ", ratio, " of input to output scale has no integers");
  int exponent = 0;
  const double fraction = std::frexp(std::clamp(ratio, -32768.0, 32767.0), &exponent);
  const int total = 15 - exponent, post_max = 29 - (bits - 1);
  Rescaling by;
  by.m = static_cast<int32_t>(std::clamp(half_up(std::ldexp(fraction, 15)), -32768.0, 32767.0));
  by.pre = std::clamp(total - post_max, 0, static_cast<int>(numbers.max_pre));
  by.post = std::clamp(total - by.pre, 0, 31);
  return by;
}

Rescaling TwoStage::accumulator(double unit, const Grid& y) const {
  return of_ratio(unit / static_cast<double>(y.scale), y.bits);
}

Rescaling TwoStage::mean(double unit, int64_t count, const Grid& y) const {
  return of_ratio(unit / (static_cast<double>(count) * static_cast<double>(y.scale)), y.bits);
}

double TwoStage::least_unit(const Grid& skip) const {
  return static_cast<double>(skip.scale) / (32767.0 * (skip.bits > 8 ? 1 : 1 << kMaxLeft));
}

Rescaling TwoStage::residual(double unit, const Grid& skip, const Grid& y) const {
  const double ratio = static_cast<double>(skip.scale) / unit;
  const int most = skip.bits > 8 ? 0 : kMaxLeft;
  int left = 0;
  while (left < most && half_up(std::ldexp(ratio, -left)) > 32767) ++left;
  const double multiplier = half_up(std::ldexp(ratio, -left));
  check(multiplier >= 1 && multiplier <= 32767, "the residual's scale ", skip.scale, " is ", ratio,
        " times its accumulator's unit, expected 0.5 to ", std::ldexp(32767.0, most),
        "; give the weights more bits or smaller ranges (quant::equalize), what they read a smaller scale, or what is "
        "added fewer bits (their qconfigs by_path)");
  Rescaling by = accumulator(unit, y);
  by.second = static_cast<int64_t>(multiplier) << left;
  return by;
}

Rescaling TwoStage::narrow(const Grid& x, const Grid& y) const {
  Rescaling by = of_ratio(static_cast<double>(x.scale) / static_cast<double>(y.scale), y.bits);
  by.post = std::min(by.pre + by.post, 31);
  by.pre = 0;
  return by;
}

Rescaling TwoStage::sum(double first, double second, int bits, const Grid& y) const {
  if (second == 0) return accumulator(first, y);
  const double y_scale = y.scale, a = std::abs(first), b = std::abs(second);
  if (numbers.shifted_sums) {
    // x is the operand of the larger scale; where it is negative, so is the ratio, and the other's factor with it.
    const bool swapped = b > a;
    const double large = swapped ? second : first, small = swapped ? first : second;
    const double x = std::abs(large), sign = large < 0 ? -1 : 1;
    int reach = 0;  // floor(log2(32767 x / other)) + 1
    std::frexp(32767 * x / std::abs(small), &reach);
    const int shift = std::min(bits > 8 ? 15 : 23, reach - 1);
    const double factor = std::clamp(half_up(sign * small * std::ldexp(1.0, shift) / x), -32767.0, 32767.0);
    Rescaling by = of_ratio(sign * std::ldexp(x, -shift) / y_scale, y.bits);
    by.first = int64_t{1} << shift;
    by.second = static_cast<int64_t>(factor);
    if (swapped) std::swap(by.first, by.second);
    return by;
  }
  // f is the operand of the smaller scale; its factor is of 8 bits, the other's of 15 and a shift.
  const bool swapped = a > b;
  const double f = swapped ? b : a, g = swapped ? a : b;
  const double unit = std::max(f / 127, g / 0x1p25);
  const double small = std::clamp(half_up(f / unit), -128.0, 127.0);
  int exponent = 0;
  const double fraction = std::frexp(half_up(g / unit), &exponent);
  const double factor = std::min(std::floor(std::ldexp(fraction, std::min(exponent, 15))), 32767.0);
  const double large = std::ldexp(factor, std::max(exponent - 15, 0));
  Rescaling by = of_ratio(unit / y_scale, y.bits);
  by.first = static_cast<int64_t>(std::copysign(swapped ? large : small, first));
  by.second = static_cast<int64_t>(std::copysign(swapped ? small : large, second));
  return by;
}

int32_t TwoStage::rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const {
  return one(a, b, by, y, numbers.rounds);
}

const char* TwoStage::loss(const Rescaling& by, int bits) const {
  if (by.first == 1 && by.second > 0 && by.second < 64)
    return "the residual's multiplier, an integer, is below 64: its scale is small beside the accumulators'";
  if (bits > 8 && by.pre > 0) return "the first shift drops bits that an output of 16 bits has room for";
  return nullptr;
}

ShiftRounding TwoStage::shift_rounding() const { return numbers.rounds ? ShiftRounding::half_up : ShiftRounding::down; }

const char* TwoStage::fault(const Rescaling& by) const {
  if (by.pre < 0 || by.pre > numbers.max_pre) return "its first shift is out of the hardware's range";
  if (by.post < 0 || by.post > 31) return "its second shift is out of 0..31";
  if (by.m < INT16_MIN || by.m > INT16_MAX) return "its multiplier does not fit 16 bits";
  return nullptr;
}

std::unique_ptr<const Rescaler> TwoStage::rescaler(Rescalings rescalings) const {
  return std::make_unique<const Lanes>(std::move(rescalings), numbers.rounds);
}

}  // namespace sinter::quant
