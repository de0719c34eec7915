#include "requantize.h"

#include <algorithm>
#include <cmath>

#include "../../core/kernel/bits.h"
#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

// The gradient passes for real values between these two. A tie at a bound of the type is still inside where it
// rounds to the bound: up, or to an even one. The products are exact.
struct Limits {
  double above, below;
};

Limits limits(const GradientMask& mask, Rounding rounding) {
  const double scale = static_cast<double>(mask.scale);
  Limits result{mask.type.low * scale, mask.type.high * scale};
  if (!mask.strictly) {
    const bool up = rounding == Rounding::half_up;
    result = {(mask.type.low - 0.5) * scale, (mask.type.high + 0.5) * scale};
    if (up || mask.type.low % 2 == 0) result.above = std::nextafter(result.above, -INFINITY);
    if (!up && mask.type.high % 2 == 0) result.below = std::nextafter(result.below, INFINITY);
  }
  if (mask.activation != Activation::none) result.above = std::max(result.above, 0.0);
  result.below = std::min(result.below, static_cast<double>(ceiling(mask.activation)));
  return result;
}

}  // namespace

Requantizer::Requantizer(const Requantization& r) : bias_(r.bias), scale_(bias_.size()), skip_scale_(bias_.size()) {
  for (size_t c = 0; c < bias_.size(); ++c) {
    // m / 2^n and ms / 2^n are exact in double, and so is every product and sum with them: see requantize in
    // contract.h.
    const double unit = std::ldexp(1.0, -r.multipliers[c].shift);
    scale_[c] = r.multipliers[c].m * unit;
    skip_scale_[c] = static_cast<double>(r.multipliers[c].skip) * unit;
  }
  arguments_.bias = bias_.data();
  arguments_.scale = scale_.data();
  arguments_.skip_scale = skip_scale_.data();
  arguments_.channels = static_cast<int64_t>(bias_.size());
  arguments_.low = r.bounds.low;
  arguments_.high = r.bounds.high;
  arguments_.half_up = r.rounding == Rounding::half_up;
}

void Requantizer::rows(int64_t count, const int32_t* acc, const int8_t* skip, int8_t* y) const {
  kernel::RequantizeArguments a = arguments_;
  a.acc = acc;
  a.skip = skip;
  a.y = y;
  kernel::requantize_kernels().run(a, 0, count);
}

// Any types, one value at a time; the same doubles as in the kernels.
template <class Skip, class Y>
void Requantizer::plainly(const kernel::RequantizeArguments& a, const Tensor& acc, const Tensor& skip,
                          Tensor& y) const {
  const int64_t channels = std::max<int64_t>(a.channels, 1), bytes = kernel::bit_bytes(channels);
  const auto* sums = acc.data<int32_t>();
  const Skip* added = skip.defined() ? skip.data<Skip>() : nullptr;
  Y* out = y.mutable_data<Y>();
  const Rounding rounding = a.half_up ? Rounding::half_up : Rounding::half_to_even;
  parallel_for(acc.elements() / channels, std::max<int64_t>(1, (1 << 12) / channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (a.mask != nullptr) std::fill_n(a.mask + row * bytes, bytes, uint8_t{0});
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t i = row * channels + c;
        const auto sum = static_cast<double>(int64_t{sums[i]} + a.bias[c]);
        const double skipped = added == nullptr ? 0 : static_cast<double>(added[i]);
        if (a.mask != nullptr) {
          const double real = sum * a.unit[c] + skipped * a.skip_unit;
          if (real > a.above && real < a.below) a.mask[row * bytes + c / 8] |= static_cast<uint8_t>(1 << c % 8);
        }
        const double v = sum * a.scale[c] + skipped * a.skip_scale[c];
        out[i] = static_cast<Y>(round_as(rounding, std::clamp(v, a.low, a.high)));
      }
    }
  });
}

void Requantizer::all(const Tensor& acc, const Tensor& skip, Tensor& y, const GradientMask* by, Tensor* mask) const {
  kernel::RequantizeArguments a = arguments_;
  if (mask != nullptr) {
    a.mask = mask->mutable_data<uint8_t>();
    const Limits between = limits(*by, a.half_up ? Rounding::half_up : Rounding::half_to_even);
    a.above = between.above;
    a.below = between.below;
    a.unit = by->unit.data();
    a.skip_unit = by->skip_unit;
  }
  const bool wide_skip = skip.defined() && skip.dtype() == DType::int16;
  if (y.dtype() == DType::int16)
    return wide_skip ? plainly<int16_t, int16_t>(a, acc, skip, y) : plainly<int8_t, int16_t>(a, acc, skip, y);
  if (wide_skip) return plainly<int16_t, int8_t>(a, acc, skip, y);
  a.acc = acc.data<int32_t>();
  a.skip = skip.defined() ? skip.data<int8_t>() : nullptr;
  a.y = y.mutable_data<int8_t>();
  const auto& kernels = kernel::requantize_kernels();
  const int64_t channels = std::max<int64_t>(a.channels, 1);
  parallel_for(acc.elements() / channels, std::max<int64_t>(1, (1 << 14) / channels),
               [&](int64_t begin, int64_t end) { kernels.run(a, begin, end); });
}

void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y) {
  Requantizer(r).all(acc, skip, y, nullptr, nullptr);
}

void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y, const GradientMask& by,
                Tensor& mask) {
  Requantizer(r).all(acc, skip, y, &by, &mask);
}

}  // namespace sinter::quant
