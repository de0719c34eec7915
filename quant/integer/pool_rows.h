#pragma once
// Private: pooling of integers, row by row: down the columns of a window first, which are long, then along them.

#include <algorithm>
#include <vector>

#include "../../core/ops/pool_windows.h"
#include "../../core/parallel.h"

namespace sinter::quant {

/// Of x [N,H,W,C], for every row of y [N,OH,OW,C]: `down(values, count, sums)` for its rows of x, each beside the
/// border, which holds `outside`; `along(sums, step, C, OW, result)` for the columns of its windows, which are `step`
/// apart in `sums`, on a result that starts with `outside`; then `done(row, result)`, where row counts those of y.
template <class X, class A, class Down, class Along, class Done>
void each_pooled_row(const ops::PoolWindow& window, const Shape& x, const Shape& y, const X* in, A outside,
                     const Down& down, const Along& along, const Done& done) {
  const ops::PoolPlan plan(window, x, y);
  const Pair kernel = window.kernel, stride = window.stride, padding = window.padding, dilation = window.dilation;
  const int64_t height = x[1], width = x[2], channels = x[3], rows = y[1], columns = y[2];
  const int64_t reach = (columns - 1) * stride.w + (kernel.w - 1) * dilation.w + 1;
  const int64_t seen = std::min(width, reach - padding.w);  // of a row of x
  constexpr int64_t kGrain = 1 << 14;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width * channels * kernel.h));
  parallel_for(y[0] * rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<A> sums(static_cast<size_t>(reach * channels), outside),
        result(static_cast<size_t>(columns * channels));
    A* inside = sums.data() + padding.w * channels;
    for (int64_t row = begin; row < end; ++row) {
      const ops::Taps& taps = plan.rows[row % rows];
      std::fill_n(inside, seen * channels, outside);
      for (int64_t i = taps.begin; i < taps.end; ++i)
        down(in + (row / rows * height + taps.start + i * dilation.h) * width * channels, seen * channels, inside);
      std::fill(result.begin(), result.end(), outside);
      for (int64_t i = 0; i < kernel.w; ++i)
        along(sums.data() + i * dilation.w * channels, stride.w * channels, channels, columns, result.data());
      done(row, result.data());
    }
  });
}

}  // namespace sinter::quant
