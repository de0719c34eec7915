#include "avg_pool2d.h"

#include <algorithm>

#include "../parallel.h"
#include "elementwise.h"
#include "pool_windows.h"

namespace sinter {

namespace ops {

namespace {

constexpr int64_t kGrain = 1 << 14;  // values a thread adds at least

PoolWindow window_of(const AvgPoolAttributes& a) { return {a.kernel, a.stride, a.padding, 1, a.ceil_mode}; }

struct Geometry {
  PoolPlan plan;
  AvgPoolAttributes a;
  int64_t height, width, channels, rows, columns;

  Geometry(const AvgPoolAttributes& attributes, const Shape& x, const Shape& y)
      : plan(window_of(attributes), x, y),
        a(attributes),
        height(x[1]),
        width(x[2]),
        channels(x[3]),
        rows(y[1]),
        columns(y[2]) {}

  float divisor(int64_t row, int64_t column) const {
    const Pair kernel = a.kernel;
    return static_cast<float>(counted(plan.rows[row], height, kernel.h, a.padding.h, a.count_include_pad) *
                              counted(plan.columns[column], width, kernel.w, a.padding.w, a.count_include_pad));
  }
  // Calls f with the offset, from the image's first value, of every pixel of a window.
  template <class F>
  void each_pixel(int64_t row, int64_t column, const F& f) const {
    const Taps &v = plan.rows[row], &h = plan.columns[column];
    for (int64_t i = v.begin; i < v.end; ++i)
      for (int64_t j = h.begin; j < h.end; ++j) f(((v.start + i) * width + h.start + j) * channels);
  }
};

}  // namespace

AvgPool2d::AvgPool2d(const AvgPoolAttributes& a) : OpWith(a) {
  if (attributes.stride == Pair{0}) attributes.stride = attributes.kernel;
  check_window(name(), window_of(attributes));
}

Specs AvgPool2d::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  return {{DType::float32, pool_shape(name(), window_of(attributes), x[0].shape)}};
}

void AvgPool2d::forward(Inputs x, Outputs y, Context&) const {
  const Geometry g(attributes, x[0].shape(), y[0].shape());
  const Pair kernel = attributes.kernel;
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  const int64_t row_cost = std::max<int64_t>(1, g.columns * g.channels * kernel.h * kernel.w);
  parallel_for(y[0].size(0) * g.rows, std::max<int64_t>(1, kGrain / row_cost), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const float* image = in + task / g.rows * g.height * g.width * g.channels;
      const int64_t row = task % g.rows;
      for (int64_t column = 0; column < g.columns; ++column) {
        float* sums = out + (task * g.columns + column) * g.channels;
        std::fill(sums, sums + g.channels, 0.0f);
        g.each_pixel(row, column, [&](int64_t offset) {
          for (int64_t c = 0; c < g.channels; ++c) sums[c] += image[offset + c];
        });
        const float divisor = g.divisor(row, column);
        for (int64_t c = 0; c < g.channels; ++c) sums[c] /= divisor;
      }
    }
  });
}

void AvgPool2d::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Geometry g(attributes, context.input(0).shape, dy[0].shape());
  const int64_t size = g.height * g.width * g.channels;
  const float* in = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  // Windows overlap within an image: one thread takes all of it.
  parallel_for(dy[0].size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* image = out + n * size;
      std::fill(image, image + size, 0.0f);
      for (int64_t row = 0; row < g.rows; ++row)
        for (int64_t column = 0; column < g.columns; ++column) {
          const float* gradient = in + ((n * g.rows + row) * g.columns + column) * g.channels;
          const float share = 1 / g.divisor(row, column);
          g.each_pixel(row, column, [&](int64_t offset) {
            for (int64_t c = 0; c < g.channels; ++c) image[offset + c] += gradient[c] * share;
          });
        }
    }
  });
}

}  // namespace ops

Tensor avg_pool2d(const Tensor& x, const AvgPoolAttributes& attributes) { return call(ops::AvgPool2d{attributes}, x); }

}  // namespace sinter
