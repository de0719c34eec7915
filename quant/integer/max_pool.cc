#include "max_pool.h"

#include <algorithm>

#include "../../core/parallel.h"

namespace sinter::quant {

void integer_max_pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y) {
  const ops::PoolPlan plan(window, x.shape(), y.shape());
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t out_height = y.size(1), out_width = y.size(2);
  const Pair dilation = window.dilation;
  const int8_t* in = x.data<int8_t>();
  auto* out = y.mutable_data<int8_t>();
  parallel_for(y.size(0) * out_height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int8_t* image = in + row / out_height * height * width * channels;
      const ops::Taps& rows = plan.rows[row % out_height];
      for (int64_t ox = 0; ox < out_width; ++ox) {
        const ops::Taps& columns = plan.columns[ox];
        int8_t* best = out + (row * out_width + ox) * channels;
        std::fill_n(best, channels, int8_t{-128});
        for (int64_t ky = rows.begin; ky < rows.end; ++ky)
          for (int64_t kx = columns.begin; kx < columns.end; ++kx) {
            const int64_t iy = rows.start + ky * dilation.h, ix = columns.start + kx * dilation.w;
            const int8_t* from = image + (iy * width + ix) * channels;
            for (int64_t c = 0; c < channels; ++c) best[c] = std::max(best[c], from[c]);
          }
      }
    }
  });
}

}  // namespace sinter::quant
