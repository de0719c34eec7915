#include "requantize.h"

#include <algorithm>
#include <cmath>

#include "../../core/kernel/bits.h"
#include "../../core/kernel/requantize.h"
#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

// The gradient passes for real values between these two. A tie at a bound of the type is still inside where it
// rounds to the bound: up, or to an even one. The products are exact.
struct Limits {
  double above, below;
};

Limits limits(const GradientMask& mask) {
  const double scale = static_cast<double>(mask.scale);
  Limits result{mask.type.low * scale, mask.type.high * scale};
  if (!mask.strictly) {
    const bool up = mask.rounding == Rounding::half_up;
    result = {(mask.type.low - 0.5) * scale, (mask.type.high + 0.5) * scale};
    if (up || mask.type.low % 2 == 0) result.above = std::nextafter(result.above, -INFINITY);
    if (!up && mask.type.high % 2 == 0) result.below = std::nextafter(result.below, INFINITY);
  }
  if (mask.activation != Activation::none) result.above = std::max(result.above, 0.0);
  result.below = std::min(result.below, static_cast<double>(ceiling(mask.activation)));
  return result;
}

// The kernel's mask, for skips of 16 bits.
void wide_mask(const kernel::MaskArguments& a, const int16_t* skip, int64_t count) {
  const int64_t bytes = kernel::bit_bytes(a.channels);
  std::fill_n(a.mask, count * bytes, uint8_t{0});
  for (int64_t row = 0; row < count; ++row)
    for (int64_t c = 0; c < a.channels; ++c) {
      const int64_t i = row * a.channels + c;
      const double real = static_cast<double>(a.acc[i] + a.bias[c]) * a.unit[c] + skip[i] * a.skip_unit;
      if (real > a.above && real < a.below) a.mask[row * bytes + c / 8] |= static_cast<uint8_t>(1 << c % 8);
    }
}

}  // namespace

Requantizer::Requantizer(const Datapath& datapath, Rescalings rescalings)
    : bias_(rescalings.bias), rescaler_(datapath.rescaler(std::move(rescalings))) {}

void Requantizer::rows(int64_t count, const int32_t* acc, const int8_t* skip, int8_t* y) const {
  rescaler_->rows({.count = count, .acc = acc, .b = skip, .y = y});
}

void Requantizer::all(const Tensor& acc, const Tensor& skip, Tensor& y, const GradientMask* by, Tensor* mask) const {
  const auto channels = static_cast<int64_t>(bias_.size());
  if (acc.elements() == 0) return;
  const bool adds = skip.defined(), wide_skip = adds && skip.dtype() == DType::int16;
  const bool wide = y.dtype() == DType::int16;
  const int32_t* sums = acc.data<int32_t>();
  const int8_t* bytes = adds && !wide_skip ? skip.data<int8_t>() : nullptr;
  const int16_t* words = wide_skip ? skip.data<int16_t>() : nullptr;
  int8_t* narrow_out = wide ? nullptr : y.mutable_data<int8_t>();
  int16_t* wide_out = wide ? y.mutable_data<int16_t>() : nullptr;
  kernel::MaskArguments m;
  if (mask != nullptr) {
    const Limits between = limits(*by);
    m.bias = bias_.data();
    m.unit = by->unit.data();
    m.skip_unit = by->skip_unit;
    m.channels = channels;
    m.above = between.above;
    m.below = between.below;
    m.mask = mask->mutable_data<uint8_t>();
  }
  // Block by block, so that the mask finds the accumulators in cache.
  const int64_t rows = acc.elements() / channels, block = std::max<int64_t>(1, (1 << 12) / channels);
  parallel_for((rows + block - 1) / block, std::max<int64_t>(1, (1 << 14) / (block * channels)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin * block; row < std::min(end * block, rows); row += block) {
                   const int64_t count = std::min(block, rows - row), at = row * channels;
                   Rescaler::Rows r{.count = count, .acc = sums + at};
                   if (bytes != nullptr) r.b = bytes + at;
                   if (words != nullptr) {
                     r.b = words + at;
                     r.b_type = DType::int16;
                   }
                   if (!wide) r.y = narrow_out + at;
                   if (wide) {
                     r.y = wide_out + at;
                     r.y_type = DType::int16;
                   }
                   rescaler_->rows(r);
                   if (mask == nullptr) continue;
                   kernel::MaskArguments here = m;
                   here.acc = sums + at;
                   here.skip = bytes == nullptr ? nullptr : bytes + at;
                   here.mask += row * kernel::bit_bytes(channels);
                   if (wide_skip)
                     wide_mask(here, words + at, count);
                   else
                     kernel::requantize_kernels().mask(here, count);
                 }
               });
}

}  // namespace sinter::quant
