#include "avg_pool.h"

#include <algorithm>
#include <set>

#include "../../core/kernel/integers.h"
#include "pool_rows.h"
#include "values.h"

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

template <class X>
void pool(const AvgPoolAttributes& a, const AvgPoolPlan& plan, const Tensor& x, const std::vector<Rescaling>& by,
          const Bounds& bounds, const Datapath& datapath, Tensor& y) {
  const int64_t rows = y.size(1), columns = y.size(2), channels = y.size(3);
  const auto length = static_cast<size_t>(columns * channels);
  const X* in = x.data<X>();
  const IntegersAt<void> out = integers_at(y);
  std::vector<std::unique_ptr<const Rescaler>> rescalers;  // of a row of outputs, for each count of values
  for (const Rescaling& r : by)
    rescalers.push_back(
        datapath.rescaler({std::vector<int32_t>(length, 0), std::vector<Rescaling>(length, r), bounds}));
  // The index of a window's rescaling.
  const auto which = [&](int64_t row, int64_t column) {
    return std::lower_bound(plan.counts.begin(), plan.counts.end(), plan.count(row, column)) - plan.counts.begin();
  };
  each_pooled_row({a.kernel, a.stride, a.padding, 1, a.ceil_mode}, x.shape(), y.shape(), in, int32_t{0},
                  kernel::integers_of(in).accumulate, kernel::integer_kernels().sums,
                  [&](int64_t task, const int32_t* sums) {
                    const int64_t row = task % rows;
                    for (int64_t first = 0, last = 0; first < columns; first = last) {
                      const auto index = which(row, first);
                      while (last < columns && which(row, last) == index) ++last;
                      rescalers[static_cast<size_t>(index)]->run({.count = 1,
                                                                  .length = (last - first) * channels,
                                                                  .acc = sums + first * channels,
                                                                  .y = out.at((task * columns + first) * channels),
                                                                  .y_type = out.type});
                    }
                  });
}

}  // namespace

void integer_avg_pool(const AvgPoolAttributes& a, const Tensor& x, const std::vector<Rescaling>& by,
                      const Bounds& bounds, const Datapath& datapath, Tensor& y) {
  const AvgPoolPlan plan(a, x.shape(), y.shape());
  x.dtype() == DType::int16 ? pool<int16_t>(a, plan, x, by, bounds, datapath, y)
                            : pool<int8_t>(a, plan, x, by, bounds, datapath, y);
}

}  // namespace sinter::quant
