#include "max_pool.h"

#include <algorithm>

#include "../../core/parallel.h"

namespace sinter::quant {

void integer_max_pool(const PoolWindow& w, const Tensor& x, Tensor& y) {
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t out_height = y.size(1), out_width = y.size(2);
  const int8_t* in = x.data<int8_t>();
  auto* out = y.mutable_data<int8_t>();
  parallel_for(y.size(0) * out_height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int8_t* image = in + row / out_height * height * width * channels;
      const int64_t top = row % out_height * w.stride_h - w.padding_h;
      for (int64_t ox = 0; ox < out_width; ++ox) {
        int8_t* best = out + (row * out_width + ox) * channels;
        std::fill_n(best, channels, int8_t{-128});
        for (int64_t ky = 0; ky < w.kernel_h; ++ky) {
          const int64_t iy = top + ky * w.dilation_h;
          if (iy < 0 || iy >= height) continue;
          for (int64_t kx = 0; kx < w.kernel_w; ++kx) {
            const int64_t ix = ox * w.stride_w - w.padding_w + kx * w.dilation_w;
            if (ix < 0 || ix >= width) continue;
            const int8_t* from = image + (iy * width + ix) * channels;
            for (int64_t c = 0; c < channels; ++c) best[c] = std::max(best[c], from[c]);
          }
        }
      }
    }
  });
}

}  // namespace sinter::quant
