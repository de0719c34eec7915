#include "requantize.h"

#include "../../core/kernel/requantize.h"
#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

void run(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y, const GradientMask* by,
         Tensor* mask) {
  const auto channels = static_cast<int64_t>(r.bias.size());
  const int64_t rows = acc.elements() / std::max<int64_t>(channels, 1);
  std::vector<double> bias(channels), scale(channels), skip_scale(channels);
  for (int64_t c = 0; c < channels; ++c) {
    // m / 2^n and ms / 2^n are exact in double, and so is every product and sum with them: see requantize in
    // contract.h.
    const double unit = std::ldexp(1.0, -r.multipliers[c].shift);
    bias[c] = r.bias[c];
    scale[c] = r.multipliers[c].m * unit;
    skip_scale[c] = static_cast<double>(r.multipliers[c].skip) * unit;
  }
  kernel::RequantizeArguments a;
  a.acc = acc.data<int32_t>();
  a.skip = skip.defined() ? skip.data<int8_t>() : nullptr;
  a.bias = bias.data();
  a.scale = scale.data();
  a.skip_scale = skip_scale.data();
  a.channels = channels;
  a.low = r.bounds.low;
  a.high = r.bounds.high;
  a.half_up = r.rounding == Rounding::half_up;
  a.y = y.mutable_data<int8_t>();
  if (by != nullptr) {
    a.mask = mask->mutable_data<uint8_t>();
    a.mask_low = by->type.low;
    a.mask_high = by->type.high;
    a.relu = by->relu;
    a.below = by->below > 0 ? by->below : INFINITY;
  }
  const auto& kernels = kernel::requantize_kernels();
  parallel_for(rows, std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(channels, 1)),
               [&](int64_t begin, int64_t end) { kernels.run(a, begin, end); });
}

}  // namespace

void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y) {
  run(acc, skip, r, y, nullptr, nullptr);
}

void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y, const GradientMask& by,
                Tensor& mask) {
  run(acc, skip, r, y, &by, &mask);
}

}  // namespace sinter::quant
