#include "conv.h"

#include <algorithm>
#include <cstdlib>

#include "../../core/autograd.h"
#include "../../core/convolution_slices.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/kernel/isa.h"
#include "../../core/parallel.h"

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

IntegerWeights integer_weights(const Tensor& weight, const Grid& x, bool keep, const char* what) {
  IntegerWeights result{{}, 0, keep};
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs, reach = reach_of(x.bounds);
  const int64_t at_once = x.dtype == DType::int16 ? 255 : reach;  // of what one convolution reads
  const int8_t* w = weight.data<int8_t>();
  std::vector<int64_t> sums(outputs);
  const auto& kernels = kernel::elementwise_kernels();
  const int64_t grain = std::max<int64_t>(1, (1 << 16) / std::max<int64_t>(each, 1));
  parallel_for(outputs, grain, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) sums[o] = kernels.sum_abs(w + o * each, each);
  });
  for (int64_t o = 0; o < outputs; ++o) {
    result.reach = std::max(result.reach, sums[o] * reach);
    check(sums[o] * reach <= kAccumulatorLimit, what, ": the accumulator of output channel ", o, " may reach ",
          sums[o] * reach, ", expected at most ", kAccumulatorLimit, " so that 32 bits hold it with its bias");
  }
  if (result.reach / std::max<int64_t>(reach, 1) * at_once < kExact) {
    result.parts.push_back(weight);
    return result;
  }
  // Greedily: a part takes each channel's weights until its sum would reach the limit.
  std::vector<int64_t> next(outputs, 0);
  while (std::any_of(next.begin(), next.end(), [&](int64_t i) { return i < each; })) {
    Tensor part = Tensor::zeros(weight.shape(), DType::int8);
    auto* out = part.mutable_data<int8_t>();
    parallel_for(outputs, grain, [&](int64_t begin, int64_t end) {
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

// The same for values that oneDNN reads at once: int8 or uint8.
void convolve_parts(const onednn::Convolution& c, const Tensor& x, const IntegerWeights& weights, Tensor& acc) {
  const Tensor source = onednn::has_vnni() ? x : to_float(x);
  convolve(c, source, weights.parts[0], weights.keep, acc);
  for (size_t p = 1; p < weights.parts.size(); ++p) {
    Tensor more = Tensor::empty(acc.shape(), DType::int32);
    convolve(c, source, weights.parts[p], weights.keep, more);
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

}  // namespace

void integer_convolution(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                         Tensor& acc) {
  if (acc.elements() == 0) return;
  if (x.dtype() == DType::int16) return convolve_halves(c, x, weights, acc);
  const bool as_unsigned = onednn::has_vnni() && is_unsigned(grid.bounds);
  convolve_parts(
      c, as_unsigned ? sinter::detail::Access::make(sinter::detail::Access::storage(x), {DType::uint8, x.shape()}) : x,
      weights, acc);
}

void integer_layer(const onednn::Convolution& c, const Tensor& x, const Grid& grid, const IntegerWeights& weights,
                   const Tensor& skip, const Requantizer& requantizer, Tensor& y) {
  if (y.elements() == 0) return;
  using Slices = onednn::ConvolutionSlices;
  std::vector<Slices> parts;
  const bool wide =
      x.dtype() == DType::int16 || y.dtype() == DType::int16 || (skip.defined() && skip.dtype() == DType::int16);
  if (onednn::has_vnni() && !wide)
    for (const Tensor& part : weights.parts)
      parts.emplace_back(is_unsigned(grid.bounds) ? onednn::Kind::uint8_forward : onednn::Kind::int8_forward, c, part,
                         Slices::Options{.keep = weights.keep});
  if (parts.empty()) {
    Tensor acc = Tensor::empty(y.shape(), DType::int32);
    integer_convolution(c, x, grid, weights, acc);
    return requantizer.all(acc, skip, y);
  }
  const auto* in = x.data<int8_t>();
  const int8_t* added = skip.defined() ? skip.data<int8_t>() : nullptr;
  auto* out = y.mutable_data<int8_t>();
  parts[0].for_each([&](int64_t slice, int64_t image) {
    const int64_t count = parts[0].images(slice) * c.out_image(), first = image * c.out_image();
    Tensor sums = Tensor::empty({count}, DType::int32);
    auto* acc = sums.mutable_data<int32_t>();
    parts[0].forward(slice, in + image * c.image(), acc);
    for (size_t p = 1; p < parts.size(); ++p) {
      Tensor more = Tensor::empty({count}, DType::int32);
      parts[p].forward(slice, in + image * c.image(), more.mutable_data<int32_t>());
      add(more.data<int32_t>(), count, acc);
    }
    requantizer.rows(count / c.out, acc, added == nullptr ? nullptr : added + first, out + first);
  });
}

}  // namespace sinter::quant
