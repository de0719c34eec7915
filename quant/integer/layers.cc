#include "layers.h"

#include <algorithm>
#include <type_traits>

#include "../../core/kernel/integers.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/max_pool2d.h"
#include "../../core/ops/pad.h"
#include "../../core/ops/pixel_shuffle.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/view.h"
#include "../../core/parallel.h"
#include "../../core/repeated.h"
#include "avg_pool.h"
#include "max_pool.h"
#include "resize.h"
#include "strided.h"
#include "values.h"

namespace sinter::quant {

namespace {

constexpr int64_t kGrain = 1 << 14;  // values a thread takes at least

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

// y[i] = f(x[i]...), integers of any of their types.
template <class Y, class F, class... X>
void map_integers(Tensor& y, const F& f, const X*... x) {
  Y* out = y.mutable_data<Y>();
  parallel_for(y.elements(), kGrain, [&](int64_t begin, int64_t end) {
    // By value: a byte that is written might be any of what is captured.
    [](Y* to, int64_t count, F g, const X*... from) {
      for (int64_t i = 0; i < count; ++i) to[i] = g(from[i]...);
    }(out + begin, end - begin, f, (x + begin)...);
  });
}

// Calls f with the elements of a tensor of int8 or int16.
template <class F>
void with_integers(const Tensor& x, const F& f) {
  x.dtype() == DType::int16 ? f(x.data<int16_t>()) : f(x.data<int8_t>());
}

// y by channel where there are as many rescalings as channels, else by one for all, of sums that fill(begin, count,
// sums) writes and of `skip` (or none), a piece at a time.
template <class Fill>
void rescale(const Datapath& datapath, const std::vector<Rescaling>& by, const Bounds& bounds, const Tensor& skip,
             Tensor& y, const Fill& fill) {
  const Repeated<Rescaling> row(by.data(), static_cast<int64_t>(by.size()));
  const auto rescaler = datapath.rescaler({std::vector<int32_t>(static_cast<size_t>(row.size()), 0),
                                           std::vector<Rescaling>(row.data(), row.data() + row.size()), bounds});
  const IntegersAt<const void> added = integers_at(skip);
  const IntegersAt<void> out = integers_at(y);
  const int64_t elements = y.elements(), each = row.size();
  parallel_for((elements + each - 1) / each, std::max<int64_t>(1, kGrain / each), [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(each));
    for (int64_t at = begin * each; at < std::min(end * each, elements); at += each) {
      const int64_t count = std::min(each, elements - at);
      fill(at, count, sums.data());
      rescaler->run({.count = 1,
                     .length = count,
                     .acc = sums.data(),
                     .b = added.at(at),
                     .b_type = added.type,
                     .y = out.at(at),
                     .y_type = out.type});
    }
  });
}

// y = a m + b ms, or, without b, a m.
void add(const Datapath& datapath, const Tensor& a, const Tensor& b, const Rescaling& by, const Bounds& bounds,
         Tensor& y) {
  with_integers(a, [&](const auto* p) {
    rescale(datapath, {by}, bounds, b, y,
            [p](int64_t at, int64_t count, int32_t* sums) { std::copy_n(p + at, count, sums); });
  });
}

void multiply(const Datapath& datapath, const Tensor& a, const Tensor& b, const Rescaling& by, const Bounds& bounds,
              Tensor& y) {
  with_integers(a, [&](const auto* p) {
    with_integers(b, [&](const auto* q) {
      rescale(datapath, {by}, bounds, {}, y, [p, q](int64_t at, int64_t count, int32_t* sums) {
        for (int64_t i = 0; i < count; ++i) sums[i] = p[at + i] * q[at + i];
      });
    });
  });
}

void mean(const Datapath& datapath, const Tensor& x, const std::vector<Rescaling>& by, const Bounds& bounds,
          Tensor& y) {
  const Tensor acc = x.dtype() == DType::int16 ? sums_of_images<int16_t>(x) : sums_of_images<int8_t>(x);
  const auto* in = acc.data<int32_t>();
  rescale(datapath, by, bounds, {}, y,
          [in](int64_t at, int64_t count, int32_t* sums) { std::copy_n(in + at, count, sums); });
}

void look_up(const Tensor& table, const Tensor& x, Tensor& y) {
  if (x.dtype() == DType::int8 && table.dtype() == DType::int8) {
    const int8_t *in = x.data<int8_t>(), *entries = table.data<int8_t>();
    auto* out = y.mutable_data<int8_t>();
    return parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
      kernel::integer_kernels().look_up(entries, in + begin, end - begin, out + begin);
    });
  }
  with_integers(x, [&](const auto* in) {
    const int32_t first = -static_cast<int32_t>(table.elements() / 2);
    with_integers(table, [&](const auto* entries) {
      using Entry = std::remove_cvref_t<decltype(*entries)>;
      map_integers<Entry>(
          y, [=](int32_t q) { return entries[q - first]; }, in);
    });
  });
}

// max(x, 0) and min(x, 0) * slope as two terms.
void prelu(const Datapath& datapath, const Instruction& step, const Tensor& x, const Bounds& bounds, Tensor& y) {
  Tensor below = Tensor::empty(x.shape(), x.dtype());
  with_integers(x, [&](const auto* in) {
    using X = std::remove_cvref_t<decltype(*in)>;
    map_integers<X>(
        below, [](X q) { return q < 0 ? q : X{0}; }, in);
    rescale(datapath, step.rescale, bounds, below, y, [in](int64_t at, int64_t count, int32_t* sums) {
      for (int64_t i = 0; i < count; ++i) sums[i] = in[at + i] > 0 ? in[at + i] : 0;
    });
  });
}

void concat(const Datapath& datapath, const Instruction& step, std::span<const Tensor> x, const Bounds& bounds,
            Tensor& y) {
  const int axis = normalize_axis(static_cast<const ops::Concat&>(*step.op).attributes.axis, y.rank(), "concat");
  const std::vector<int64_t> strides = strides_of(y.shape());
  int64_t at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const Shape& shape = x[i].shape();
    Tensor part = Tensor::empty(shape, y.dtype());
    if (part.elements() > 0) add(datapath, x[i], {}, step.rescale[i], bounds, part);
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
    X* out = y.mutable_data<X>();
    parallel_for(y.elements(), kGrain, [out, value = static_cast<X>(border)](int64_t begin, int64_t end) {
      std::fill(out + begin, out + end, value);
    });
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
                 const Arithmetic& march) {
  const Datapath& datapath = *march.datapath;
  if (step.opcode == Opcode::reshape) {
    check(x[0].elements() == shape.elements(), "reshape: ", x[0].shape(), " has other elements than ", shape);
    return ops::view(x[0], shape);
  }
  Tensor y = Tensor::empty(shape, grid.dtype);
  if (y.elements() == 0) return y;
  switch (step.opcode) {
    case Opcode::add:
      add(datapath, expanded(x[0], shape), expanded(x[1], shape), step.rescale[0], grid.bounds, y);
      return y;
    case Opcode::mul:
      multiply(datapath, expanded(x[0], shape), expanded(x[1], shape), step.rescale[0], grid.bounds, y);
      return y;
    case Opcode::mean:
      mean(datapath, x[0], step.rescale, grid.bounds, y);
      return y;
    case Opcode::avg_pool:
      integer_avg_pool(static_cast<const ops::AvgPool2d&>(*step.op).attributes, x[0], step.rescale, grid.bounds,
                       datapath, y);
      return y;
    case Opcode::concat:
      concat(datapath, step, x, grid.bounds, y);
      return y;
    case Opcode::table:
      look_up(step.table, x[0], y);
      return y;
    case Opcode::prelu:
      prelu(datapath, step, x[0], grid.bounds, y);
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
