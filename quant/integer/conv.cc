#include "conv.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "../../core/autograd.h"
#include "../../core/convolution_slices.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/kernel/integers.h"
#include "../../core/kernel/isa.h"
#include "../../core/parallel.h"
#include "strided.h"

namespace sinter::quant {

namespace {

constexpr int64_t kExact = int64_t{1} << 24;
constexpr int64_t kAccumulatorLimit = (int64_t{1} << 31) - 1 - (int64_t{1} << 30);  // leaves room for the bias

int64_t reach_of(const Bounds& x) {
  return std::max(std::abs(static_cast<int64_t>(x.low)), std::abs(static_cast<int64_t>(x.high)));
}

// One part: by oneDNN's int8 kernels where they accumulate in 32 bits, else by a float convolution of the integers,
// which is exact below 2^24 whatever the order of its sums.
void convolve(const onednn::Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc) {
  if (onednn::has_vnni()) {
    onednn::convolution_int8(c, x, weight, keep, acc);
    return;
  }
  const Tensor source = x.dtype() == DType::float32 ? x : to_float(x);
  Tensor sums = Tensor::empty(acc.shape());
  onednn::convolution_forward(c, source, to_float(weight), {}, sums, false);
  const float* in = sums.data<float>();
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(acc.elements(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<int32_t>(in[i]);
  });
}

// Output channels of so many weights that a thread takes at once.
int64_t weight_grain(int64_t each) { return std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(each, 1)); }

// Integers that are never negative are the same bytes as uint8, which needs no compensation.
bool is_unsigned(const Bounds& x) { return x.low >= 0; }

void add(const int32_t* more, int64_t count, int32_t* acc) {
  for (int64_t i = 0; i < count; ++i) acc[i] += more[i];
}

}  // namespace

Tensor to_float(const Tensor& x) {
  if (x.dtype() == DType::uint8) return x.to(DType::float32);
  Tensor result = Tensor::empty(x.shape());
  const int8_t* in = x.data<int8_t>();
  float* out = result.mutable_data<float>();
  const auto& kernels = kernel::elementwise_kernels();
  parallel_for(x.elements(), 1 << 15,
               [&](int64_t begin, int64_t end) { kernels.widen(in + begin, end - begin, out + begin); });
  return result;
}

namespace {

// Of every output channel.
std::vector<int64_t> sums_of_abs(const Tensor& weight) {
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const int8_t* w = weight.data<int8_t>();
  std::vector<int64_t> sums(outputs);
  const auto& kernels = kernel::elementwise_kernels();
  parallel_for(outputs, weight_grain(each), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) sums[o] = kernels.sum_abs(w + o * each, each);
  });
  return sums;
}

// Channels first..first + count - 1 of `groups` each of pixels with `in` channels, or of weights with one group.
void narrow(const int8_t* from, int64_t pixels, int64_t in, int64_t groups, int64_t first, int64_t count, int8_t* to) {
  const int64_t group = in / groups;
  for (int64_t i = 0; i < pixels * groups; ++i) std::copy_n(from + i * group + first, count, to + i * count);
}

// Cuts weights where every part takes the same input channels of all output channels: they are summed once, whatever
// the number of parts. False where no such cut, at multiples of `kStep`, stays below the limit.
bool cut_channels(const Tensor& weight, int64_t largest, int64_t at_once, IntegerWeights& result) {
  constexpr int64_t kStep = 64;
  const int64_t in = weight.size(-1), rows = weight.elements() / in, taps = rows / weight.size(0);
  const int64_t least = largest * at_once / kExact + 1;
  const int8_t* w = weight.data<int8_t>();
  const auto& kernels = kernel::elementwise_kernels();
  const int64_t most_parts = 2 * least;
  for (int64_t width = (in / least + kStep - 1) / kStep * kStep;
       width >= kStep && (in + width - 1) / width <= most_parts; width -= kStep) {
    std::atomic<bool> fits{true};
    parallel_for(weight.size(0), weight_grain(in * taps), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end && fits; ++o)
        for (int64_t first = 0; first < in; first += width) {
          int64_t sum = 0;
          for (int64_t row = o * taps; row < (o + 1) * taps; ++row)
            sum += kernels.sum_abs(w + row * in + first, std::min(width, in - first));
          if (sum * at_once >= kExact) fits = false;
        }
    });
    if (!fits) continue;
    result.width = width;
    for (int64_t first = 0; first < in; first += width) {
      const int64_t count = std::min(width, in - first);
      Tensor part = Tensor::empty(weight.shape().with(-1, count), DType::int8);
      auto* out = part.mutable_data<int8_t>();
      parallel_for(rows, weight_grain(count), [&](int64_t begin, int64_t end) {
        narrow(w + begin * in, end - begin, in, 1, first, count, out + begin * count);
      });
      result.parts.push_back(part);
    }
    return true;
  }
  return false;
}

// Rotated weights [O,KH,KW,I] as those of columns.
Tensor column_weights(const Tensor& weight) {
  const Shape& from = weight.shape();
  Tensor result = Tensor::empty({from[1] * from[2] * from[0], 1, 1, from[3]}, DType::int8);
  const int64_t step = from[0] * from[3];
  copy_strided({.sizes = {from[1], from[2], from[0], from[3]},
                .from_strides = {-from[2] * from[3], -from[3], weight.elements() / from[0], 1},
                .to_strides = {from[2] * step, step, from[3], 1},
                .from = (from[1] * from[2] - 1) * from[3]},
               weight, result);
  return result;
}

}  // namespace

std::vector<int64_t> accumulator_reach(const Tensor& weight, const Grid& x, const char* what) {
  std::vector<int64_t> sums = sums_of_abs(weight);
  for (size_t o = 0; o < sums.size(); ++o) {
    sums[o] *= reach_of(x.bounds);
    check(sums[o] <= kAccumulatorLimit, what, ": the accumulator of output channel ", o, " may reach ", sums[o],
          ", expected at most ", kAccumulatorLimit, " so that 32 bits hold it with its bias");
  }
  return sums;
}

IntegerWeights integer_weights(const Tensor& given, const Grid& x, bool keep, const char* what, bool columns) {
  IntegerWeights result{{}, 0, keep};
  const int64_t reach = reach_of(x.bounds);
  const int64_t at_once = x.dtype == DType::int16 ? 255 : reach;  // of what one convolution reads
  const std::vector<int64_t> reaches = accumulator_reach(given, x, what);
  result.reach = *std::max_element(reaches.begin(), reaches.end());
  const Tensor weight = columns ? column_weights(given) : given;
  int64_t most = result.reach / std::max<int64_t>(reach, 1);  // the largest sum
  if (columns) {
    const std::vector<int64_t> sums = sums_of_abs(weight);
    most = *std::max_element(sums.begin(), sums.end());
  }
  if (most * at_once < kExact) {
    result.parts.push_back(weight);
    return result;
  }
  if (cut_channels(weight, most, at_once, result)) return result;
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const int8_t* w = weight.data<int8_t>();
  const auto& kernels = kernel::elementwise_kernels();
  // Greedily: a part takes each channel's weights until its sum would reach the limit.
  std::vector<int64_t> next(outputs, 0);
  while (std::any_of(next.begin(), next.end(), [&](int64_t i) { return i < each; })) {
    Tensor part = Tensor::zeros(weight.shape(), DType::int8);
    auto* out = part.mutable_data<int8_t>();
    parallel_for(outputs, weight_grain(each), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const int64_t first = next[o];
        int64_t sum = 0;
        for (const int64_t step : {64, 1})
          for (; next[o] + step <= each; next[o] += step) {
            const int64_t more = kernels.sum_abs(w + o * each + next[o], step) * at_once;
            if (sum + more >= kExact) break;
            sum += more;
          }
        std::copy(w + o * each + first, w + o * each + next[o], out + o * each + first);
      }
    });
    result.parts.push_back(part);
  }
  return result;
}

namespace {

// What one part reads: some input channels of every group, or all of them.
struct PartChannels {
  onednn::Convolution c;
  int64_t first = 0, count;
};
PartChannels channels_of(const onednn::Convolution& c, const IntegerWeights& weights, size_t part) {
  const int64_t all = c.in / c.groups;
  PartChannels result{c, 0, all};
  if (weights.width > 0) {
    result.first = static_cast<int64_t>(part) * weights.width;
    result.count = std::min(weights.width, all - result.first);
    result.c.in = result.count * c.groups;
  }
  return result;
}

// The same for values that oneDNN reads at once: int8 or uint8.
void convolve_parts(const onednn::Convolution& c, const Tensor& x, const IntegerWeights& weights, Tensor& acc) {
  const Tensor source = onednn::has_vnni() || weights.width > 0 ? x : to_float(x);
  const auto part = [&](size_t p, Tensor& to) {
    const PartChannels of = channels_of(c, weights, p);
    Tensor in = source;
    if (weights.width > 0) {
      in = Tensor::empty(x.shape().with(-1, of.c.in), x.dtype());
      const auto* from = reinterpret_cast<const int8_t*>(sinter::detail::Access::storage(x)->data());
      auto* narrowed = reinterpret_cast<int8_t*>(sinter::detail::Access::storage(in)->data());
      parallel_for(x.elements() / c.in, weight_grain(of.c.in), [&](int64_t begin, int64_t end) {
        narrow(from + begin * c.in, end - begin, c.in, c.groups, of.first, of.count, narrowed + begin * of.c.in);
      });
    }
    convolve(of.c, in, weights.parts[p], weights.keep, to);
  };
  part(0, acc);
  for (size_t p = 1; p < weights.parts.size(); ++p) {
    Tensor more = Tensor::empty(acc.shape(), DType::int32);
    part(p, more);
    const auto* in = more.data<int32_t>();
    auto* out = acc.mutable_data<int32_t>();
    parallel_for(acc.elements(), 1 << 15,
                 [&](int64_t begin, int64_t end) { add(in + begin, end - begin, out + begin); });
  }
}

// x = 256 hi + lo.
void convolve_halves(const onednn::Convolution& c, const Tensor& x, const IntegerWeights& weights, Tensor& acc) {
  Tensor high = Tensor::empty(x.shape(), DType::int8), low = Tensor::empty(x.shape(), DType::uint8);
  const auto* in = x.data<int16_t>();
  auto* hi = high.mutable_data<int8_t>();
  auto* lo = low.mutable_data<uint8_t>();
  parallel_for(x.elements(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      hi[i] = static_cast<int8_t>(in[i] >> 8);
      lo[i] = static_cast<uint8_t>(in[i] & 255);
    }
  });
  Tensor rest = Tensor::empty(acc.shape(), DType::int32);
  convolve_parts(c, high, weights, acc);
  convolve_parts(c, low, weights, rest);
  const auto* more = rest.data<int32_t>();
  auto* out = acc.mutable_data<int32_t>();
  // Fits 32 bits where `integer_weights` allowed it.
  parallel_for(acc.elements(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<int32_t>(256 * int64_t{out[i]} + more[i]);
  });
}

// The 1x1 convolution from x to the columns of a transposed one.
onednn::Convolution columns_of(const onednn::Convolution& t) {
  onednn::Convolution c;
  c.batch = t.batch;
  c.height = c.out_height = t.out_height;
  c.width = c.out_width = t.out_width;
  c.in = t.out;
  c.out = t.kernel_h * t.kernel_w * t.in;
  return c;
}

// f(i, y) for the rows i of the kernel and y of the image that a row of a transposed convolution's output is made of.
template <class F>
void each_source(const onednn::Convolution& t, int64_t row, const F& f) {
  for (int64_t i = 0; i < t.kernel_h; ++i) {
    const int64_t at = row + t.padding_h - i * t.dilation_h, y = at / t.stride_h;
    if (at >= 0 && at % t.stride_h == 0 && y < t.out_height) f(i, y);
  }
}

// acc [W,O] = the sum of an image's columns [H,W,KH,KW,O] along one row of the output of a transposed convolution.
void add_columns(const onednn::Convolution& t, const int32_t* columns, int64_t row, int32_t* acc) {
  const int64_t out = t.in, taps = t.kernel_w * out, pixel = t.kernel_h * taps;
  std::fill_n(acc, t.width * out, 0);
  each_source(t, row, [&](int64_t i, int64_t y) {
    const int32_t* from = columns + y * t.out_width * pixel + i * taps;
    for (int64_t x = 0; x < t.out_width; ++x, from += pixel) {
      const int64_t first = x * t.stride_w - t.padding_w;
      if (t.dilation_w == 1) {  // side by side
        const int64_t begin = std::max<int64_t>(0, -first), end = std::min(t.kernel_w, t.width - first);
        if (begin < end) add(from + begin * out, (end - begin) * out, acc + (first + begin) * out);
        continue;
      }
      for (int64_t j = 0; j < t.kernel_w; ++j) {
        const int64_t to = first + j * t.dilation_w;
        if (to >= 0 && to < t.width) add(from + j * out, out, acc + to * out);
      }
    }
  });
}

// acc [W,C] = one row of the output of a transposed convolution of an image [H,W,C], whose channels are a group each,
// by weights [KH,KW,C].
template <class T>
void add_products(const onednn::Convolution& t, const T* image, const int8_t* weight, int64_t row, int32_t* acc) {
  const int64_t channels = t.in;
  const auto& kernels = kernel::integers_of(image);
  std::fill_n(acc, t.width * channels, 0);
  each_source(t, row, [&](int64_t i, int64_t y) {
    for (int64_t x = 0; x < t.out_width; ++x)
      for (int64_t j = 0; j < t.kernel_w; ++j) {
        const int64_t to = x * t.stride_w - t.padding_w + j * t.dilation_w;
        if (to < 0 || to >= t.width) continue;
        kernels.accumulate_products(image + (y * t.out_width + x) * channels, weight + (i * t.kernel_w + j) * channels,
                                    channels, acc + to * channels);
      }
  });
}

template <class T>
void add_products(const onednn::Convolution& t, const T* x, const Tensor& weight, Tensor& acc) {
  const int8_t* w = weight.data<int8_t>();
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(t.batch * t.height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      add_products(t, x + row / t.height * t.out_image(), w, row % t.height, out + row * t.width * t.in);
  });
}

// f(first value of the result, count, their accumulators) for a few images at a time, on all threads; false where int8
// cannot be summed so.
template <class F>
bool in_slices(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
               const F& f) {
  if (!onednn::has_vnni() || x.dtype() == DType::int16 || (c.transposed_weight && c.groups > 1)) return false;
  const bool transposed = c.transposed_weight;
  const onednn::Convolution plain = transposed ? columns_of(c) : c;
  using Slices = onednn::ConvolutionSlices;
  std::vector<Slices> parts;
  for (size_t p = 0; p < weights.parts.size(); ++p)
    parts.emplace_back(is_unsigned(grid.bounds) ? onednn::Kind::uint8_forward : onednn::Kind::int8_forward,
                       channels_of(plain, weights, p).c, weights.parts[p], Slices::Options{.keep = weights.keep});
  const auto* in = x.data<int8_t>();
  parts[0].for_each([&](int64_t slice, int64_t image) {
    const int64_t images = parts[0].images(slice), count = images * plain.out_image();
    Tensor sums = Tensor::empty({count}, DType::int32);
    auto* acc = sums.mutable_data<int32_t>();
    const auto forward = [&](size_t p, int32_t* to) {
      const int8_t* from = in + image * plain.image();
      if (weights.width == 0) return parts[p].forward(slice, from, to);
      const PartChannels of = channels_of(plain, weights, p);
      Tensor narrowed = Tensor::empty({images * of.c.image()}, DType::int8);
      narrow(from, images * plain.height * plain.width, plain.in, plain.groups, of.first, of.count,
             narrowed.mutable_data<int8_t>());
      parts[p].forward(slice, narrowed.data<int8_t>(), to);
    };
    forward(0, acc);
    for (size_t p = 1; p < parts.size(); ++p) {
      Tensor more = Tensor::empty({count}, DType::int32);
      forward(p, more.mutable_data<int32_t>());
      add(more.data<int32_t>(), count, acc);
    }
    if (!transposed) return f(image * c.out_image(), count, acc);
    Tensor added = Tensor::empty({images * c.image()}, DType::int32);
    auto* out = added.mutable_data<int32_t>();
    for (int64_t row = 0; row < images * c.height; ++row)
      add_columns(c, acc + row / c.height * plain.out_image(), row % c.height, out + row * c.width * c.in);
    f(image * c.image(), images * c.image(), out);
  });
  return true;
}

}  // namespace

void integer_convolution(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                         Tensor& acc) {
  if (acc.elements() == 0) return;
  if (c.transposed_weight && c.groups > 1) {
    const Tensor& weight = weights.parts[0];  // the only one: their sums are single weights
    return x.dtype() == DType::int16 ? add_products(c, x.data<int16_t>(), weight, acc)
                                     : add_products(c, x.data<int8_t>(), weight, acc);
  }
  if (c.transposed_weight) {
    auto* out = acc.mutable_data<int32_t>();
    if (in_slices(c, x, grid, weights,
                  [&](int64_t first, int64_t count, const int32_t* sums) { std::copy_n(sums, count, out + first); }))
      return;
    const auto plain = columns_of(c);
    Tensor columns = Tensor::empty({plain.batch, plain.height, plain.width, plain.out}, DType::int32);
    integer_convolution(plain, x, grid, weights, columns);
    const auto* from = columns.data<int32_t>();
    return parallel_for(c.batch * c.height, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        add_columns(c, from + row / c.height * plain.out_image(), row % c.height, out + row * c.width * c.in);
    });
  }
  if (x.dtype() == DType::int16) return convolve_halves(c, x, weights, acc);
  const bool as_unsigned = onednn::has_vnni() && is_unsigned(grid.bounds);
  convolve_parts(
      c, as_unsigned ? sinter::detail::Access::make(sinter::detail::Access::storage(x), {DType::uint8, x.shape()}) : x,
      weights, acc);
}

void integer_layer(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                   const Tensor& skip, const Requantizer& requantizer, Tensor& y) {
  if (y.elements() == 0) return;
  if (y.dtype() == DType::int8 && (!skip.defined() || skip.dtype() == DType::int8)) {
    const int8_t* added = skip.defined() ? skip.data<int8_t>() : nullptr;
    auto* out = y.mutable_data<int8_t>();
    const int64_t channels = y.size(-1);
    if (in_slices(c, x, grid, weights, [&](int64_t first, int64_t count, const int32_t* acc) {
          requantizer.rows(count / channels, acc, added == nullptr ? nullptr : added + first, out + first);
        }))
      return;
  }
  Tensor acc = Tensor::empty(y.shape(), DType::int32);
  integer_convolution(c, x, grid, weights, acc);
  requantizer.all(acc, skip, y);
}

void integer_head(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                  const Dequantizer& d, Tensor& y) {
  if (y.elements() == 0) return;
  float* out = y.mutable_data<float>();
  if (in_slices(c, x, grid, weights,
                [&](int64_t first, int64_t count, const int32_t* acc) { d.values(count, acc, out + first); }))
    return;
  Tensor acc = Tensor::empty(y.shape(), DType::int32);
  integer_convolution(c, x, grid, weights, acc);
  d.all(acc, y);
}

}  // namespace sinter::quant
