#include "pixel_shuffle.h"

#include <algorithm>

#include "elementwise.h"

namespace sinter {

namespace ops {

namespace {

// f(first of `channels` values of y, the first of those in x, which are `step` apart), for every pixel of y.
template <class F>
void each_pixel(const Shape& y, int64_t upscale, const F& f) {
  const int64_t rows = y[1], columns = y[2], channels = y[3], step = upscale * upscale;
  const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, columns * channels));
  parallel_for(y[0] * rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {  // image * rows + h, of x as well, as its rows are whole
      const int64_t i = row % upscale, above = row / upscale * (columns / upscale);
      for (int64_t w = 0; w < columns; ++w)
        f((row * columns + w) * channels, (above + w / upscale) * channels * step + i * upscale + w % upscale);
    }
  });
}

}  // namespace

PixelShuffle::PixelShuffle(const PixelShuffleAttributes& a) : OpWith(a) {
  constexpr int64_t kLargest = 1 << 15;
  check(a.upscale >= 1 && a.upscale <= kLargest, name(), ": upscale is ", a.upscale, ", expected 1 to ", kLargest);
}

Specs PixelShuffle::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  const Shape& shape = x[0].shape;
  const int64_t u = attributes.upscale;
  check(shape.rank() == 4, name(), ": input is ", shape, ", expected [N,H,W,C]");
  check(shape[3] % (u * u) == 0, name(), ": input is ", shape, ", expected a multiple of ", u * u, " channels");
  return {{DType::float32, {shape[0], shape[1] * u, shape[2] * u, shape[3] / (u * u)}}};
}

void PixelShuffle::forward(Inputs x, Outputs y, Context&) const {
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  const int64_t step = attributes.upscale * attributes.upscale, channels = y[0].size(3);
  each_pixel(y[0].shape(), attributes.upscale, [&](int64_t to, int64_t from) {
    for (int64_t c = 0; c < channels; ++c) out[to + c] = in[from + c * step];
  });
}

void PixelShuffle::backward(const Context&, Outputs dy, Gradients& dx) const {
  const float* in = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  const int64_t step = attributes.upscale * attributes.upscale, channels = dy[0].size(3);
  each_pixel(dy[0].shape(), attributes.upscale, [&](int64_t from, int64_t to) {
    for (int64_t c = 0; c < channels; ++c) out[to + c * step] = in[from + c];
  });
}

}  // namespace ops

Tensor pixel_shuffle(const Tensor& x, const PixelShuffleAttributes& attributes) {
  return call(ops::PixelShuffle{attributes}, x);
}

}  // namespace sinter
