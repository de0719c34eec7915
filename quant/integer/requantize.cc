#include "requantize.h"

#include <algorithm>
#include <cmath>

#include "../../core/kernel/bits.h"

#include "../../core/parallel.h"
#include "values.h"

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

}  // namespace

Requantizer::Requantizer(const Datapath& datapath, Rescalings rescalings)
    : bias_(rescalings.bias), rescaler_(datapath.rescaler(std::move(rescalings))) {}

void Requantizer::rows(int64_t count, const int32_t* acc, const int8_t* skip, int8_t* y) const {
  const bool one = bias_.size() == 1;  // a row
  rescaler_->run({.count = one ? 1 : count, .length = one ? count : 0, .acc = acc, .b = skip, .y = y});
}

void Requantizer::all(const Tensor& acc, const Tensor& skip, Tensor& y, const GradientMask* by, Tensor* mask) const {
  const auto channels = static_cast<int64_t>(bias_.size());
  if (acc.elements() == 0) return;
  const auto* sums = acc.data<int32_t>();
  const IntegersAt<const void> added = integers_at(skip);
  const IntegersAt<void> out = integers_at(y);
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
                   rescaler_->run({.count = channels == 1 ? 1 : count,
                                   .length = channels == 1 ? count : 0,
                                   .acc = sums + at,
                                   .b = added.at(at),
                                   .b_type = added.type,
                                   .y = out.at(at),
                                   .y_type = out.type});
                   if (mask == nullptr) continue;
                   kernel::MaskArguments here = m;
                   here.acc = sums + at;
                   here.skip = {added.at(at), added.type == DType::int16};
                   here.mask += row * kernel::bit_bytes(channels);
                   kernel::requantize_kernels().mask(here, count);
                 }
               });
}

std::vector<double> accumulator_units(float x_scale, std::span<const float> weight_scales) {
  std::vector<double> units;
  for (const float scale : weight_scales) units.push_back(static_cast<double>(x_scale) * static_cast<double>(scale));
  return units;
}

Dequantizer::Dequantizer(const std::vector<int32_t>& bias, const std::vector<double>& unit)
    : bias_(bias.data(), static_cast<int64_t>(bias.size())), unit_(unit.data(), static_cast<int64_t>(unit.size())) {
  arguments_.channels = unit_.size();
  arguments_.low = -INFINITY;
  arguments_.high = INFINITY;
}

void Dequantizer::values(int64_t count, const int32_t* acc, float* y) const {
  kernel::RealArguments a = arguments_;
  a.acc = acc;
  a.bias = bias_.data();
  a.unit = unit_.data();
  kernel::requantize_kernels().real(a, 0, count, y);
}

void Dequantizer::all(const Tensor& acc, Tensor& y) const {
  kernel::RealArguments a = arguments_;
  a.acc = acc.data<int32_t>();
  a.bias = bias_.data();
  a.unit = unit_.data();
  float* out = y.mutable_data<float>();
  parallel_for(acc.elements(), 1 << 14,
               [&](int64_t begin, int64_t end) { kernel::requantize_kernels().real(a, begin, end, out + begin); });
}

}  // namespace sinter::quant
