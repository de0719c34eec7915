#include "max_pool.h"

#include <algorithm>
#include <limits>

#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

template <class T>
void pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y) {
  const ops::PoolPlan plan(window, x.shape(), y.shape());
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t out_height = y.size(1), out_width = y.size(2);
  const Pair dilation = window.dilation;
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  parallel_for(y.size(0) * out_height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* image = in + row / out_height * height * width * channels;
      const ops::Taps& rows = plan.rows[row % out_height];
      for (int64_t ox = 0; ox < out_width; ++ox) {
        const ops::Taps& columns = plan.columns[ox];
        T* best = out + (row * out_width + ox) * channels;
        std::fill_n(best, channels, std::numeric_limits<T>::min());
        for (int64_t ky = rows.begin; ky < rows.end; ++ky)
          for (int64_t kx = columns.begin; kx < columns.end; ++kx) {
            const int64_t iy = rows.start + ky * dilation.h, ix = columns.start + kx * dilation.w;
            const T* from = image + (iy * width + ix) * channels;
            for (int64_t c = 0; c < channels; ++c) best[c] = std::max(best[c], from[c]);
          }
      }
    }
  });
}

}  // namespace

void integer_max_pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y) {
  x.dtype() == DType::int16 ? pool<int16_t>(window, x, y) : pool<int8_t>(window, x, y);
}

}  // namespace sinter::quant
