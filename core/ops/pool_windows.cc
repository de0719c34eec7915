#include "pool_windows.h"

#include <algorithm>

namespace sinter::ops {

namespace {

std::vector<Taps> taps(int64_t outputs, int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                       int64_t dilation) {
  std::vector<Taps> all;
  all.reserve(static_cast<size_t>(outputs));
  for (int64_t i = 0; i < outputs; ++i) {
    const int64_t start = i * stride - padding;
    const int64_t begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
    const int64_t end = start < size ? std::min(kernel, (size - start + dilation - 1) / dilation) : 0;
    all.push_back({start, begin, end});
  }
  return all;
}

bool sees_input(const std::vector<Taps>& all) {
  return std::all_of(all.begin(), all.end(), [](const Taps& t) { return t.begin < t.end; });
}

}  // namespace

void check_window(std::string_view op, const PoolWindow& window) {
  const auto at_least = [op](const char* what, const Pair& value, int64_t least) {
    check(value.h >= least && value.w >= least, op, ": ", what, " is ", value, ", expected at least ", least);
  };
  at_least("kernel", window.kernel, 1);
  at_least("stride", window.stride, 1);
  at_least("padding", window.padding, 0);
  at_least("dilation", window.dilation, 1);
  check(window.padding.h <= window.kernel.h / 2 && window.padding.w <= window.kernel.w / 2, op, ": padding is ",
        window.padding, ", expected at most half of the kernel ", window.kernel);
}

Shape pool_shape(std::string_view op, const PoolWindow& w, const Shape& x) {
  check(x.rank() == 4, op, ": input is ", x, ", expected [N,H,W,C]");
  const int64_t oh = window_output(x[1], w.kernel.h, w.stride.h, w.padding.h, w.dilation.h, w.ceil_mode);
  const int64_t ow = window_output(x[2], w.kernel.w, w.stride.w, w.padding.w, w.dilation.w, w.ceil_mode);
  check(oh >= 1 && ow >= 1, op, ": input ", x, " with padding ", w.padding, " is smaller than the kernel ", w.kernel,
        " with dilation ", w.dilation);
  const Shape y{x[0], oh, ow, x[3]};
  const PoolPlan plan(w, x, y);
  check(sees_input(plan.rows) && sees_input(plan.columns), op, ": input ", x,
        " has windows of nothing but padding: ", "kernel ", w.kernel, ", dilation ", w.dilation, ", padding ",
        w.padding);
  return y;
}

PoolPlan::PoolPlan(const PoolWindow& w, const Shape& x, const Shape& y)
    : rows(taps(y[1], x[1], w.kernel.h, w.stride.h, w.padding.h, w.dilation.h)),
      columns(taps(y[2], x[2], w.kernel.w, w.stride.w, w.padding.w, w.dilation.w)) {}

}  // namespace sinter::ops
