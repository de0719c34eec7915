#include "resize.h"

#include <algorithm>
#include <cmath>

#include "../../core/ops/resize_taps.h"
#include "../../core/parallel.h"
#include "../contract.h"

namespace sinter::quant {

namespace {

// v rounded as a datapath rounds shifts, |v| < 2^51.
double round_shift(ShiftRounding rounding, double v) {
  switch (rounding) {
    case ShiftRounding::half_up:
      return std::floor(v + 0.5);
    case ShiftRounding::half_to_even:
      return round_as(Rounding::half_to_even, v);
    case ShiftRounding::down:
      break;
  }
  return std::floor(v);
}

template <class T>
void resize(const ResizeAttributes& a, const Tensor& x, const March& march, Tensor& y) {
  const ops::ResizePlan plan(a, x.shape(), y.shape());
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t rows = y.size(1), columns = y.size(2);
  const bool bilinear = a.mode == "bilinear";
  const int bits = march.resize_bits;
  const double one = std::ldexp(1.0, bits), unit = std::ldexp(1.0, -2 * bits);
  const ShiftRounding rounding = march.datapath->shift_rounding();
  const auto weight_of = [&](const ops::ResizeTap& tap) {
    return round_as(Rounding::half_to_even, std::ldexp(tap.fraction, bits));
  };
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  parallel_for(y.size(0) * rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const ops::ResizeTap& v = plan.rows[row % rows];
      const T* upper = in + (row / rows * height + v.low) * width * channels;
      const T* lower = in + (row / rows * height + v.high) * width * channels;
      const double down = weight_of(v), up = one - down;
      for (int64_t column = 0; column < columns; ++column) {
        const ops::ResizeTap& h = plan.columns[column];
        T* to = out + (row * columns + column) * channels;
        if (!bilinear) {
          std::copy_n(upper + h.low * channels, channels, to);
          continue;
        }
        const T *p = upper + h.low * channels, *q = upper + h.high * channels;
        const T *r = lower + h.low * channels, *s = lower + h.high * channels;
        const double right = weight_of(h), left = one - right;
        const double wp = up * left, wq = up * right, wr = down * left, ws = down * right;
        for (int64_t c = 0; c < channels; ++c)
          to[c] = static_cast<T>(round_shift(rounding, (p[c] * wp + q[c] * wq + r[c] * wr + s[c] * ws) * unit));
      }
    }
  });
}

}  // namespace

void integer_resize(const ResizeAttributes& a, const Tensor& x, const March& march, Tensor& y) {
  x.dtype() == DType::int16 ? resize<int16_t>(a, x, march, y) : resize<int8_t>(a, x, march, y);
}

}  // namespace sinter::quant
