#include "values.h"

#include <algorithm>
#include <atomic>

#include "../../core/kernel/bits.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/kernel/integers.h"
#include "../../core/parallel.h"
#include "../contract_inline.h"

namespace sinter::quant {

namespace {
constexpr int64_t kGrain = 1 << 15;
}

Tensor empty_mask(int64_t rows, int64_t row) { return Tensor::empty({rows, kernel::bit_bytes(row)}, DType::uint8); }

namespace {

// What the kernels do not do: 16 bits, and masks of what is strictly inside.
template <class T>
void quantize_plainly(const float* x, int64_t count, float inverse, const Bounds& bounds, Rounding rounding,
                      bool strictly, T* y, uint8_t* bits) {
  const auto low = static_cast<float>(bounds.low), high = static_cast<float>(bounds.high);
  for (int64_t begin = 0; begin < count; begin += 8) {
    int eight = 0;
    for (int64_t i = begin; i < std::min(begin + 8, count); ++i) {
      const float v = x[i] * inverse;
      y[i] = static_cast<T>(inlined::quantize(x[i], inverse, bounds, rounding));
      bool inside = v > low && v < high;
      if (!strictly && !inside) {
        const double near = inlined::round_as(rounding, std::clamp<double>(v, bounds.low - 1.0, bounds.high + 1.0));
        inside = v == v ? near >= bounds.low && near <= bounds.high : true;  // NaN counts as 0
      }
      eight |= (inside ? 1 : 0) << (i - begin);
    }
    if (bits != nullptr) bits[begin / 8] = static_cast<uint8_t>(eight);
  }
}

}  // namespace

IntegersAt<const void> integers_at(const Tensor& x) {
  if (!x.defined()) return {};
  if (x.dtype() == DType::int16) return {x.data<int16_t>(), DType::int16};
  return {x.data<int8_t>(), DType::int8};
}

IntegersAt<void> integers_at(Tensor& y) {
  if (y.dtype() == DType::int16) return {y.mutable_data<int16_t>(), DType::int16};
  return {y.mutable_data<int8_t>(), DType::int8};
}

int64_t count_nans(const Tensor& x) {
  std::atomic<int64_t> count{0};
  const float* in = x.data<float>();
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    int64_t here = 0;
    for (int64_t i = begin; i < end; ++i) here += in[i] != in[i];
    count += here;
  });
  return count;
}

void quantize(const Tensor& x, std::span<const float> scales, const Bounds& bounds, Rounding rounding, Tensor& y,
              Tensor* mask, bool strictly) {
  static_assert(kGrain % 8 == 0);
  const auto rows = static_cast<int64_t>(scales.size());
  const int64_t row = x.elements() / rows, chunks = (row + kGrain - 1) / kGrain;
  if (mask != nullptr) *mask = empty_mask(rows, row);
  uint8_t* bits = mask == nullptr ? nullptr : mask->mutable_data<uint8_t>();
  const bool wide = y.dtype() == DType::int16, plain = wide || (strictly && mask != nullptr);
  kernel::QuantizeArguments all;
  all.low = static_cast<float>(bounds.low);
  all.high = static_cast<float>(bounds.high);
  all.half_up = rounding == Rounding::half_up;
  const float* in = x.data<float>();
  int8_t* bytes = wide ? nullptr : y.mutable_data<int8_t>();
  int16_t* words = wide ? y.mutable_data<int16_t>() : nullptr;
  const auto& kernels = kernel::elementwise_kernels();
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(row, 1));
  parallel_for(rows * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i / chunks, first = i % chunks * kGrain, at = r * row + first;
      const int64_t count = std::min(kGrain, row - first);
      uint8_t* bits_here = bits == nullptr ? nullptr : bits + r * kernel::bit_bytes(row) + first / 8;
      const float inverse = 1.0f / scales[r];
      if (wide) {
        quantize_plainly(in + at, count, inverse, bounds, rounding, strictly, words + at, bits_here);
      } else if (plain) {
        quantize_plainly(in + at, count, inverse, bounds, rounding, strictly, bytes + at, bits_here);
      } else {
        kernel::QuantizeArguments here = all;
        here.x = in + at;
        here.y = bytes + at;
        here.inverse_scale = inverse;
        here.bits = bits_here;
        kernels.quantize(here, count);
      }
    }
  });
}

Tensor dequantize(const Tensor& q, float scale) {
  Tensor y = Tensor::empty(q.shape());
  float* out = y.mutable_data<float>();
  const auto real = [&](const auto* in) {
    parallel_for(q.elements(), kGrain, [&](int64_t begin, int64_t end) {
      kernel::integers_of(in).real(in + begin, scale, end - begin, out + begin);
    });
  };
  q.dtype() == DType::int16 ? real(q.data<int16_t>()) : real(q.data<int8_t>());
  return y;
}

namespace {

template <class T>
void clamp_as(const Tensor& x, const Bounds& bounds, Tensor& y) {
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  const auto low = static_cast<T>(bounds.low), high = static_cast<T>(bounds.high);
  parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
    kernel::integers_of(in).clamp(in + begin, end - begin, low, high, out + begin);
  });
}

}  // namespace

void clamp(const Tensor& x, const Bounds& bounds, Tensor& y) {
  x.dtype() == DType::int16 ? clamp_as<int16_t>(x, bounds, y) : clamp_as<int8_t>(x, bounds, y);
}

}  // namespace sinter::quant
