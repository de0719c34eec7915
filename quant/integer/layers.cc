#include "layers.h"

#include <type_traits>

#include "../../core/ops/concat.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/view.h"
#include "../../core/parallel.h"
#include "avg_pool.h"
#include "max_pool.h"
#include "requantize.h"
#include "resize.h"
#include "strided.h"
#include "values.h"

namespace sinter::quant {

namespace {

// The sums over H and W of x [N,H,W,C], as int32 [N,C].
template <class T>
Tensor sums_of_images(const Tensor& x) {
  const int64_t images = x.size(0), positions = x.size(1) * x.size(2), channels = x.size(3);
  Tensor acc = Tensor::zeros({images, channels}, DType::int32);
  const T* in = x.data<T>();
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p) {
        const T* from = in + (n * positions + p) * channels;
        for (int64_t c = 0; c < channels; ++c) out[n * channels + c] += from[c];
      }
  });
  return acc;
}

// By channel where there are as many multipliers, else by one for all.
void rescale(const Datapath& datapath, const Tensor& acc, const Tensor& skip, const std::vector<Rescaling>& by,
             const Grid& grid, Tensor& y) {
  const auto channels = static_cast<size_t>(y.size(-1));
  Requantizer(datapath, {std::vector<int32_t>(channels, 0),
                         by.size() == 1 ? std::vector<Rescaling>(channels, by[0]) : by, grid.bounds})
      .all(acc, skip, y);
}

// y[i] = f(x[i]...), integers of any of their types.
template <class Y, class F, class... X>
void map_integers(Tensor& y, const F& f, const X*... x) {
  Y* out = y.mutable_data<Y>();
  parallel_for(y.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = f(x[i]...);
  });
}

// Calls f with the elements of a tensor of int8 or int16.
template <class F>
void with_integers(const Tensor& x, const F& f) {
  x.dtype() == DType::int16 ? f(x.data<int16_t>()) : f(x.data<int8_t>());
}

Tensor products(const Tensor& a, const Tensor& b) {
  Tensor acc = Tensor::empty(a.shape(), DType::int32);
  with_integers(a, [&](const auto* p) {
    with_integers(b, [&](const auto* q) {
      map_integers<int32_t>(
          acc, [](int32_t v, int32_t w) { return v * w; }, p, q);
    });
  });
  return acc;
}

void look_up(const Tensor& table, const Tensor& x, Tensor& y) {
  with_integers(x, [&](const auto* in) {
    const int32_t first = -static_cast<int32_t>(table.elements() / 2);
    with_integers(table, [&](const auto* entries) {
      using Entry = std::remove_cvref_t<decltype(*entries)>;
      map_integers<Entry>(
          y, [&](int32_t q) { return entries[q - first]; }, in);
    });
  });
}

void prelu(const Datapath& datapath, const Instruction& step, const Tensor& x, const Grid& grid, Tensor& y) {
  Tensor above = Tensor::empty(x.shape(), DType::int32), below = Tensor::empty(x.shape(), x.dtype());
  with_integers(x, [&](const auto* in) {
    using X = std::remove_cvref_t<decltype(*in)>;
    map_integers<int32_t>(
        above, [](int32_t q) { return q > 0 ? q : 0; }, in);
    map_integers<X>(
        below, [](X q) { return q < 0 ? q : X{0}; }, in);
  });
  rescale(datapath, above, below, step.rescale, grid, y);
}

void concat(const Datapath& datapath, const Instruction& step, std::span<const Tensor> x, const Grid& grid, Tensor& y) {
  const int axis = normalize_axis(static_cast<const ops::Concat&>(*step.op).attributes.axis, y.rank(), "concat");
  const std::vector<int64_t> strides = strides_of(y.shape());
  int64_t at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Shape& shape = x[i].shape();
    Tensor part = Tensor::empty(shape, y.dtype());
    if (part.elements() > 0) rescale(datapath, widen(x[i]), {}, {step.rescale[i]}, grid, part);
    copy_strided({{shape.begin(), shape.end()}, strides_of(shape), strides, 0, at}, part, y);
    at += shape[axis] * strides[axis];
  }
}

void slice(const SliceAttributes& a, const Tensor& x, Tensor& y) {
  const int axis = normalize_axis(a.axis, x.rank(), "slice");
  StridedCopy by{{y.shape().begin(), y.shape().end()}, strides_of(x.shape()), strides_of(y.shape())};
  by.from = (a.begin < 0 ? a.begin + x.size(axis) : a.begin) * by.from_strides[axis];
  by.from_strides[axis] *= a.step;
  copy_strided(by, x, y);
}

void pad(const PadAttributes& a, const Tensor& x, const Grid& grid, Rounding rounding, Tensor& y) {
  const int32_t border = quantize(static_cast<float>(a.value), 1.0f / grid.scale, grid.bounds, rounding);
  with_integers(x, [&](const auto* in) {
    using X = std::remove_cvref_t<decltype(*in)>;
    map_integers<X>(y, [border] { return static_cast<X>(border); });
  });
  StridedCopy by{{x.shape().begin(), x.shape().end()}, strides_of(x.shape()), strides_of(y.shape())};
  for (size_t axis = 0; axis < a.before.size(); ++axis) by.to += a.before[axis] * by.to_strides[axis];
  copy_strided(by, x, y);
}

// See ops::PixelShuffle; both tensors as [N,H,u,W,u,C].
void pixel_shuffle(int64_t u, const Tensor& x, Tensor& y) {
  const int64_t height = x.size(1), width = x.size(2), channels = y.size(3);
  const int64_t pixel = x.size(3), row = width * u * channels;
  copy_strided({{x.size(0), height, u, width, u, channels},
                {height * width * pixel, width * pixel, u, pixel, 1, u * u},
                {height * u * row, u * row, row, u * channels, channels, 1}},
               x, y);
}

void move(const Op& op, const Tensor& x, const Grid& grid, Rounding rounding, Tensor& y) {
  if (const auto* sliced = dynamic_cast<const ops::Slice*>(&op)) return slice(sliced->attributes, x, y);
  if (const auto* padded = dynamic_cast<const ops::Pad*>(&op)) return pad(padded->attributes, x, grid, rounding, y);
  pixel_shuffle(static_cast<const ops::PixelShuffle&>(op).attributes.upscale, x, y);
}

}  // namespace

Tensor run_layer(const Instruction& step, std::span<const Tensor> x, const Shape& shape, const Grid& grid,
                 const March& march) {
  const Datapath& datapath = *march.datapath;
  if (step.opcode == Opcode::reshape) {
    check(x[0].elements() == shape.elements(), "reshape: ", x[0].shape(), " has other elements than ", shape);
    return ops::view(x[0], shape);
  }
  Tensor y = Tensor::empty(shape, grid.dtype);
  if (y.elements() == 0) return y;
  switch (step.opcode) {
    case Opcode::add:
      rescale(datapath, widen(expanded(x[0], shape)), expanded(x[1], shape), step.rescale, grid, y);
      return y;
    case Opcode::mul:
      rescale(datapath, products(expanded(x[0], shape), expanded(x[1], shape)), {}, step.rescale, grid, y);
      return y;
    case Opcode::mean:
      rescale(datapath, x[0].dtype() == DType::int16 ? sums_of_images<int16_t>(x[0]) : sums_of_images<int8_t>(x[0]), {},
              step.rescale, grid, y);
      return y;
    case Opcode::avg_pool:
      integer_avg_pool(static_cast<const ops::AvgPool2d&>(*step.op).attributes, x[0], step.rescale, grid.bounds,
                       datapath, y);
      return y;
    case Opcode::concat:
      concat(datapath, step, x, grid, y);
      return y;
    case Opcode::table:
      look_up(step.table, x[0], y);
      return y;
    case Opcode::prelu:
      prelu(datapath, step, x[0], grid, y);
      return y;
    case Opcode::clamp:
      clamp(x[0], grid.bounds, y);
      return y;
    case Opcode::max_pool: {
      const auto& a = static_cast<const ops::MaxPool2d&>(*step.op).attributes;
      integer_max_pool({a.kernel, a.stride, a.padding, a.dilation, a.ceil_mode}, x[0], y);
      return y;
    }
    case Opcode::resize:
      integer_resize(static_cast<const ops::Resize&>(*step.op).attributes, x[0], march, y);
      return y;
    case Opcode::move:
      move(*step.op, x[0], grid, march.rounding, y);
      return y;
    default:
      fail(to_string(step.opcode), " is no layer of integers");
  }
}

}  // namespace sinter::quant
