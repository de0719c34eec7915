#include "values.h"

#include <algorithm>

#include "../../core/kernel/bits.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/parallel.h"

namespace sinter::quant {

namespace {
constexpr int64_t kGrain = 1 << 15;
}

Tensor empty_mask(int64_t rows, int64_t row) { return Tensor::empty({rows, kernel::bit_bytes(row)}, DType::uint8); }

void quantize(const Tensor& x, std::span<const float> scales, const Bounds& bounds, Rounding rounding, Tensor& y,
              Tensor* mask) {
  static_assert(kGrain % 8 == 0);
  const auto rows = static_cast<int64_t>(scales.size());
  const int64_t row = x.elements() / rows, chunks = (row + kGrain - 1) / kGrain;
  if (mask != nullptr) *mask = empty_mask(rows, row);
  kernel::QuantizeArguments all;
  all.x = x.data<float>();
  all.low = static_cast<float>(bounds.low);
  all.high = static_cast<float>(bounds.high);
  all.half_up = rounding == Rounding::half_up;
  all.y = y.mutable_data<int8_t>();
  if (mask != nullptr) all.bits = mask->mutable_data<uint8_t>();
  const auto& kernels = kernel::elementwise_kernels();
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(row, 1));
  parallel_for(rows * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i / chunks, first = i % chunks * kGrain;
      kernel::QuantizeArguments here = all;
      here.x += r * row + first;
      here.y += r * row + first;
      here.inverse_scale = 1.0f / scales[r];
      if (mask != nullptr) here.bits += r * kernel::bit_bytes(row) + first / 8;
      kernels.quantize(here, std::min(kGrain, row - first));
    }
  });
}

void clamp(const Tensor& x, const Bounds& bounds, Tensor& y) {
  const int8_t* in = x.data<int8_t>();
  auto* out = y.mutable_data<int8_t>();
  const auto low = static_cast<int8_t>(bounds.low), high = static_cast<int8_t>(bounds.high);
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = std::clamp(in[i], low, high);
  });
}

}  // namespace sinter::quant
