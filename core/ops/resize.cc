#include "resize.h"

#include <algorithm>

#include "elementwise.h"
#include "resize_taps.h"

namespace sinter {

std::string to_string(const Scale& scale) { return text(scale.h, "x", scale.w); }

void detail::append_field(std::vector<Field>& out, std::string_view name, const Scale& value) {
  out.push_back({text(name, "_h"), value.h});
  out.push_back({text(name, "_w"), value.w});
}

void detail::assign_field(std::span<const Field> fields, std::string_view name, Scale& value) {
  assign_field(fields, text(name, "_h"), value.h);
  assign_field(fields, text(name, "_w"), value.w);
}

namespace ops {

namespace {

// `scale` is 0 where a size was given.
std::vector<ResizeTap> nearest_taps(int64_t size, int64_t outputs, double scale) {
  const float step = scale > 0 ? static_cast<float>(1 / scale) : static_cast<float>(size) / static_cast<float>(outputs);
  std::vector<ResizeTap> taps;
  for (int64_t i = 0; i < outputs; ++i) {
    int64_t at = static_cast<int64_t>(static_cast<float>(i) * step);
    if (outputs == size) at = i;
    if (outputs == 2 * size) at = i / 2;
    const int64_t low = std::min(at, size - 1);
    taps.push_back({low, low, 0});
  }
  return taps;
}

std::vector<ResizeTap> bilinear_taps(int64_t size, int64_t outputs, double scale, bool align_corners) {
  const double step = scale > 0 ? 1 / scale : static_cast<double>(size) / static_cast<double>(outputs);
  std::vector<ResizeTap> taps;
  for (int64_t i = 0; i < outputs; ++i) {
    const auto at = static_cast<double>(i);
    double u = std::max((at + 0.5) * step - 0.5, 0.0);
    if (align_corners) u = outputs > 1 ? at * static_cast<double>(size - 1) / static_cast<double>(outputs - 1) : 0;
    if (outputs == size) u = at;
    const int64_t low = std::min(static_cast<int64_t>(u), size - 1);
    taps.push_back({low, std::min(low + 1, size - 1), std::min(u - static_cast<double>(low), 1.0)});
  }
  return taps;
}

bool is_bilinear(const ResizeAttributes& a) { return a.mode == "bilinear"; }

std::vector<ResizeTap> taps(const ResizeAttributes& a, int64_t size, int64_t outputs, double scale) {
  return is_bilinear(a) ? bilinear_taps(size, outputs, scale, a.align_corners) : nearest_taps(size, outputs, scale);
}

// The four pixels around an output, by their offsets from the image's first value, and their weights.
struct Corners {
  int64_t at[4];
  float weight[4];

  Corners(const ResizeTap& v, const ResizeTap& h, int64_t width, int64_t channels)
      : at{(v.low * width + h.low) * channels, (v.low * width + h.high) * channels, (v.high * width + h.low) * channels,
           (v.high * width + h.high) * channels},
        weight{static_cast<float>((1 - v.fraction) * (1 - h.fraction)),
               static_cast<float>((1 - v.fraction) * h.fraction), static_cast<float>(v.fraction * (1 - h.fraction)),
               static_cast<float>(v.fraction * h.fraction)} {}
};

}  // namespace

ResizePlan::ResizePlan(const ResizeAttributes& a, const Shape& x, const Shape& y)
    : rows(taps(a, x[1], y[1], a.scale.h)), columns(taps(a, x[2], y[2], a.scale.w)) {}

Resize::Resize(const ResizeAttributes& a) : OpWith(a) {
  const bool by_size = !(a.size == Pair{0}), by_scale = !(a.scale == Scale{0});
  check(by_size != by_scale, name(), ": it needs a scale or a size, and not both");
  check(!by_size || (a.size.h >= 1 && a.size.w >= 1), name(), ": size is ", a.size, ", expected at least 1");
  constexpr double kLargest = 1e6;
  check(!by_scale || (a.scale.h > 0 && a.scale.w > 0 && a.scale.h <= kLargest && a.scale.w <= kLargest), name(),
        ": scale is ", a.scale, ", expected more than 0, at most ", kLargest);
  check(a.mode == "nearest" || is_bilinear(a), name(), ": mode '", a.mode,
        "' is unknown, expected nearest or bilinear");
  check(is_bilinear(a) || !a.align_corners, name(), ": align_corners is for bilinear");
}

Specs Resize::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  const Shape& shape = x[0].shape;
  check(shape.rank() == 4 && shape[1] >= 1 && shape[2] >= 1, name(), ": input is ", shape,
        ", expected [N,H,W,C] with at least one pixel");
  const auto size = [](int64_t given, int64_t from, double scale) {
    return given > 0 ? given : static_cast<int64_t>(static_cast<double>(from) * scale);
  };
  const int64_t oh = size(attributes.size.h, shape[1], attributes.scale.h);
  const int64_t ow = size(attributes.size.w, shape[2], attributes.scale.w);
  check(oh >= 1 && ow >= 1, name(), ": of input ", shape, " a scale of ", attributes.scale, " leaves nothing");
  return {{DType::float32, {shape[0], oh, ow, shape[3]}}};
}

void Resize::forward(Inputs x, Outputs y, Context&) const {
  const ResizePlan plan(attributes, x[0].shape(), y[0].shape());
  const int64_t width = x[0].size(2), channels = x[0].size(3), image = x[0].size(1) * width * channels;
  const int64_t rows = y[0].size(1), columns = y[0].size(2);
  const bool nearest = !is_bilinear(attributes);
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, columns * channels));
  parallel_for(y[0].size(0) * rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        const Corners k(plan.rows[row % rows], plan.columns[column], width, channels);
        const float *a = in + row / rows * image + k.at[0], *b = a + (k.at[1] - k.at[0]);
        const float *c = a + (k.at[2] - k.at[0]), *d = a + (k.at[3] - k.at[0]);
        float* to = out + (row * columns + column) * channels;
        if (nearest)
          std::copy_n(a, channels, to);
        else
          for (int64_t i = 0; i < channels; ++i)
            to[i] = (a[i] * k.weight[0] + b[i] * k.weight[1]) + (c[i] * k.weight[2] + d[i] * k.weight[3]);
      }
  });
}

void Resize::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Shape& x = context.input(0).shape;
  const ResizePlan plan(attributes, x, dy[0].shape());
  const int64_t width = x[2], channels = x[3], image = x[1] * width * channels;
  const int64_t rows = dy[0].size(1), columns = dy[0].size(2);
  const int taps = is_bilinear(attributes) ? 4 : 1;
  const float* in = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  // Outputs share pixels within an image: one thread takes all of it.
  parallel_for(x[0], 1, [&](int64_t begin, int64_t end) {
    std::fill(out + begin * image, out + end * image, 0.0f);
    for (int64_t row = begin * rows; row < end * rows; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        const Corners k(plan.rows[row % rows], plan.columns[column], width, channels);
        const float* gradient = in + (row * columns + column) * channels;
        for (int tap = 0; tap < taps; ++tap) {
          float* to = out + row / rows * image + k.at[tap];
          for (int64_t i = 0; i < channels; ++i) to[i] += gradient[i] * k.weight[tap];
        }
      }
  });
}

}  // namespace ops

Tensor resize(const Tensor& x, const ResizeAttributes& attributes) { return call(ops::Resize{attributes}, x); }
Tensor resize_nearest(const Tensor& x, const Scale& scale) { return resize(x, {.scale = scale}); }
Tensor resize_bilinear(const Tensor& x, const Scale& scale, bool align_corners) {
  return resize(x, {.scale = scale, .mode = "bilinear", .align_corners = align_corners});
}

}  // namespace sinter
