#include "avg_pool.h"

#include <algorithm>
#include <set>

#include "../../core/parallel.h"

namespace sinter::quant {

AvgPoolPlan::AvgPoolPlan(const AvgPoolAttributes& a, const Shape& x, const Shape& y)
    : windows({a.kernel, a.stride, a.padding, 1, a.ceil_mode}, x, y) {
  const Pair kernel = a.kernel;
  for (const ops::Taps& taps : windows.rows)
    row_counts.push_back(ops::counted(taps, x[1], kernel.h, a.padding.h, a.count_include_pad));
  for (const ops::Taps& taps : windows.columns)
    column_counts.push_back(ops::counted(taps, x[2], kernel.w, a.padding.w, a.count_include_pad));
  std::set<int64_t> distinct;
  for (const int64_t rows : std::set<int64_t>(row_counts.begin(), row_counts.end()))
    for (const int64_t columns : std::set<int64_t>(column_counts.begin(), column_counts.end()))
      distinct.insert(rows * columns);
  counts.assign(distinct.begin(), distinct.end());
}

namespace {

template <class X, class Y>
void pool(const AvgPoolPlan& plan, const Tensor& x, const std::vector<Rescaling>& by, const Bounds& bounds,
          const Datapath& datapath, Tensor& y) {
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t rows = y.size(1), columns = y.size(2);
  const X* in = x.data<X>();
  Y* out = y.mutable_data<Y>();
  std::vector<std::unique_ptr<const Rescaler>> rescalers;
  for (const Rescaling& r : by)
    rescalers.push_back(datapath.rescaler({std::vector<int32_t>(static_cast<size_t>(channels), 0),
                                           std::vector<Rescaling>(static_cast<size_t>(channels), r), bounds}));
  parallel_for(y.size(0) * rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(channels));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task % rows;
      const ops::Taps& v = plan.windows.rows[row];
      for (int64_t column = 0; column < columns; ++column) {
        const ops::Taps& h = plan.windows.columns[column];
        std::fill(sums.begin(), sums.end(), 0);
        for (int64_t i = v.begin; i < v.end; ++i)
          for (int64_t j = h.begin; j < h.end; ++j) {
            const X* from = in + ((task / rows * height + v.start + i) * width + h.start + j) * channels;
            for (int64_t c = 0; c < channels; ++c) sums[c] += from[c];
          }
        const auto found = std::lower_bound(plan.counts.begin(), plan.counts.end(), plan.count(row, column));
        rescalers[static_cast<size_t>(found - plan.counts.begin())]->rows(
            {.count = 1, .acc = sums.data(), .y = out + (task * columns + column) * channels, .y_type = y.dtype()});
      }
    }
  });
}

}  // namespace

void integer_avg_pool(const AvgPoolAttributes& a, const Tensor& x, const std::vector<Rescaling>& by,
                      const Bounds& bounds, const Datapath& datapath, Tensor& y) {
  const AvgPoolPlan plan(a, x.shape(), y.shape());
  const bool wide = x.dtype() == DType::int16;
  if (y.dtype() == DType::int16)
    wide ? pool<int16_t, int16_t>(plan, x, by, bounds, datapath, y)
         : pool<int8_t, int16_t>(plan, x, by, bounds, datapath, y);
  else
    wide ? pool<int16_t, int8_t>(plan, x, by, bounds, datapath, y)
         : pool<int8_t, int8_t>(plan, x, by, bounds, datapath, y);
}

}  // namespace sinter::quant
