#include "max_pool2d.h"

#include <algorithm>
#include <array>

#include "../parallel.h"
#include "elementwise.h"
#include "pool_windows.h"

namespace sinter {

namespace ops {

namespace {

constexpr int64_t kGrain = 1 << 14;  // values a thread compares at least
constexpr int64_t kBlock = 64;       // channels that stay in the nearest cache from one position to the next

PoolWindow window_of(const MaxPoolAttributes& a) { return {a.kernel, a.stride, a.padding, a.dilation, a.ceil_mode}; }

// A position of a window that is inside the input: its number in the window and its first channel.
struct Candidate {
  int64_t position;
  const float* values;
};

void largest(const std::vector<Candidate>& candidates, int64_t first, int64_t count, float* y) {
  std::copy_n(candidates[0].values + first, count, y);
  for (size_t k = 1; k < candidates.size(); ++k) {
    const float* x = candidates[k].values + first;
    for (int64_t c = 0; c < count; ++c) y[c] = x[c] > y[c] || x[c] != x[c] ? x[c] : y[c];
  }
}

template <class Index>
void largest_and_where(const std::vector<Candidate>& candidates, int64_t first, int64_t count, float* y, Index* where) {
  std::array<int32_t, kBlock> winner;  // as wide as the values, which keeps the comparisons in vectors
  std::copy_n(candidates[0].values + first, count, y);
  std::fill_n(winner.begin(), count, static_cast<int32_t>(candidates[0].position));
  for (size_t k = 1; k < candidates.size(); ++k) {
    const float* x = candidates[k].values + first;
    const auto position = static_cast<int32_t>(candidates[k].position);
    for (int64_t c = 0; c < count; ++c) {
      const bool wins = x[c] > y[c] || x[c] != x[c];
      y[c] = wins ? x[c] : y[c];
      winner[c] = wins ? position : winner[c];
    }
  }
  for (int64_t c = 0; c < count; ++c) where[c] = static_cast<Index>(winner[c]);
}

// Fills y and, unless null, the winners' positions in their windows.
template <class Index>
void pool(const MaxPoolAttributes& a, const Tensor& x, Tensor& y, Index* where) {
  const PoolPlan plan(window_of(a), x.shape(), y.shape());
  const Pair kernel = a.kernel;
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
  const int64_t rows = y.size(1), columns = y.size(2);
  const float* in = x.data<float>();
  float* out = y.mutable_data<float>();
  const int64_t row_cost = std::max<int64_t>(1, columns * channels * kernel.h * kernel.w);
  parallel_for(y.size(0) * rows, std::max<int64_t>(1, kGrain / row_cost), [&](int64_t begin, int64_t end) {
    std::vector<Candidate> candidates;
    for (int64_t row = begin; row < end; ++row) {
      const float* image = in + row / rows * height * width * channels;
      const Taps& vertical = plan.rows[row % rows];
      for (int64_t column = 0; column < columns; ++column) {
        const Taps& horizontal = plan.columns[column];
        candidates.clear();
        for (int64_t i = vertical.begin; i < vertical.end; ++i)
          for (int64_t j = horizontal.begin; j < horizontal.end; ++j) {
            const int64_t h = vertical.start + i * a.dilation.h, w = horizontal.start + j * a.dilation.w;
            candidates.push_back({i * kernel.w + j, image + (h * width + w) * channels});
          }
        const int64_t at = (row * columns + column) * channels;
        for (int64_t c = 0; c < channels; c += kBlock) {
          const int64_t count = std::min(kBlock, channels - c);
          if (where != nullptr)
            largest_and_where(candidates, c, count, out + at + c, where + at + c);
          else
            largest(candidates, c, count, out + at + c);
        }
      }
    }
  });
}

// Adds each output's gradient to the winner of its window.
template <class Index>
void scatter(const MaxPoolAttributes& a, const Tensor& dy, const Index* where, Tensor& dx) {
  const PoolPlan plan(window_of(a), dx.shape(), dy.shape());
  const Pair kernel = a.kernel;
  const int64_t width = dx.size(2), channels = dx.size(3), image = dx.size(1) * width * channels;
  const int64_t rows = dy.size(1), columns = dy.size(2);
  std::vector<int64_t> offsets;  // of a window's positions from its start
  for (int64_t i = 0; i < kernel.h; ++i)
    for (int64_t j = 0; j < kernel.w; ++j) offsets.push_back((i * a.dilation.h * width + j * a.dilation.w) * channels);
  const float* in = dy.data<float>();
  float* out = dx.mutable_data<float>();
  // Windows overlap within an image: one thread takes all of it.
  parallel_for(dx.size(0), 1, [&](int64_t begin, int64_t end) {
    std::fill(out + begin * image, out + end * image, 0.0f);
    for (int64_t row = begin * rows; row < end * rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        const int64_t start =
            row / rows * image + (plan.rows[row % rows].start * width + plan.columns[column].start) * channels;
        const int64_t at = (row * columns + column) * channels;
        for (int64_t c = 0; c < channels; ++c) out[start + offsets[where[at + c]] + c] += in[at + c];
      }
  });
}

bool fits_a_byte(const Pair& kernel) { return kernel.h * kernel.w <= 256; }

}  // namespace

MaxPool2d::MaxPool2d(const MaxPoolAttributes& a) : OpWith(a) {
  if (attributes.stride == Pair{0}) attributes.stride = attributes.kernel;
  check_window(name(), window_of(attributes));
}

Specs MaxPool2d::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  return {{DType::float32, pool_shape(name(), window_of(attributes), x[0].shape)}};
}

void MaxPool2d::forward(Inputs x, Outputs y, Context& context) const {
  if (!context.recording()) return pool<uint8_t>(attributes, x[0], y[0], nullptr);
  const bool byte = fits_a_byte(attributes.kernel);
  Tensor where = Tensor::empty(y[0].shape(), byte ? DType::uint8 : DType::int32);
  if (byte)
    pool(attributes, x[0], y[0], where.mutable_data<uint8_t>());
  else
    pool(attributes, x[0], y[0], where.mutable_data<int32_t>());
  context.keep(where);
}

void MaxPool2d::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor where = context.kept(0);
  if (where.dtype() == DType::uint8)
    scatter(attributes, dy[0], where.data<uint8_t>(), dx.create(0));
  else
    scatter(attributes, dy[0], where.data<int32_t>(), dx.create(0));
}

}  // namespace ops

Tensor max_pool2d(const Tensor& x, const MaxPoolAttributes& attributes) { return call(ops::MaxPool2d{attributes}, x); }

}  // namespace sinter
