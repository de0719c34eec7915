#include "avg_pool.h"

#include <algorithm>
#include <set>

#include "../../core/kernel/integers.h"
#include "../../core/kernel/requantize.h"
#include "../contract_inline.h"
#include "pool_rows.h"

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

// By the multiplier of a count of values, a row of outputs long.
struct Scaled {
  std::vector<int32_t> bias;
  std::vector<std::vector<double>> scale;  // for each count

  Scaled(const std::vector<Multiplier>& by, int64_t length) : bias(static_cast<size_t>(length), 0) {
    for (const Multiplier& m : by) scale.emplace_back(bias.size(), std::ldexp(m.m, -m.shift));  // exact: see requantize
  }
};

void rescale(kernel::RequantizeArguments a, int8_t* y) {
  a.y = y;
  kernel::requantize_kernels().run(a, 0, 1);
}

void rescale(const kernel::RequantizeArguments& a, int16_t* y) {
  const Rounding rounding = a.half_up ? Rounding::half_up : Rounding::half_to_even;
  for (int64_t i = 0; i < a.channels; ++i)
    y[i] = static_cast<int16_t>(inlined::round_as(rounding, std::clamp(a.acc[i] * *a.scale, a.low, a.high)));
}

template <class X, class Y>
void pool(const AvgPoolAttributes& a, const AvgPoolPlan& plan, const Tensor& x, const std::vector<Multiplier>& by,
          const Bounds& bounds, Rounding rounding, Tensor& y) {
  const int64_t rows = y.size(1), columns = y.size(2), channels = y.size(3);
  const X* in = x.data<X>();
  Y* out = y.mutable_data<Y>();
  const Scaled scaled(by, columns * channels);
  // The index of a window's multiplier.
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
                      kernel::RequantizeArguments part;
                      part.acc = sums + first * channels;
                      part.bias = scaled.bias.data();
                      part.scale = scaled.scale[static_cast<size_t>(index)].data();
                      part.channels = (last - first) * channels;
                      part.low = bounds.low;
                      part.high = bounds.high;
                      part.half_up = rounding == Rounding::half_up;
                      rescale(part, out + (task * columns + first) * channels);
                    }
                  });
}

}  // namespace

void integer_avg_pool(const AvgPoolAttributes& a, const Tensor& x, const std::vector<Multiplier>& by,
                      const Bounds& bounds, Rounding rounding, Tensor& y) {
  const AvgPoolPlan plan(a, x.shape(), y.shape());
  const bool wide = x.dtype() == DType::int16;
  if (y.dtype() == DType::int16)
    wide ? pool<int16_t, int16_t>(a, plan, x, by, bounds, rounding, y)
         : pool<int8_t, int16_t>(a, plan, x, by, bounds, rounding, y);
  else
    wide ? pool<int16_t, int8_t>(a, plan, x, by, bounds, rounding, y)
         : pool<int8_t, int8_t>(a, plan, x, by, bounds, rounding, y);
}

}  // namespace sinter::quant
