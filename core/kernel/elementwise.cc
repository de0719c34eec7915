#include "elementwise.h"

#include "bits.h"
#include "intrinsics.h"

namespace sinter::kernel {

namespace {

// Several lanes: one chain of comparisons would be as slow as its latency.
constexpr int kLanes = 64;

bool range(const float* x, int64_t count, float* low, float* high) {
  float lows[kLanes], highs[kLanes], sums[kLanes];
  for (int j = 0; j < kLanes; ++j) {
    lows[j] = *low;
    highs[j] = *high;
    sums[j] = 0;
  }
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float v = x[i + j];
      lows[j] = v < lows[j] ? v : lows[j];
      highs[j] = v > highs[j] ? v : highs[j];
      sums[j] += v * 0.0f;  // NaN for a NaN and an infinity
    }
  for (; i < count; ++i) {
    lows[0] = x[i] < lows[0] ? x[i] : lows[0];
    highs[0] = x[i] > highs[0] ? x[i] : highs[0];
    sums[0] += x[i] * 0.0f;
  }
  float total = 0;
  for (int j = 0; j < kLanes; ++j) {
    *low = lows[j] < *low ? lows[j] : *low;
    *high = highs[j] > *high ? highs[j] : *high;
    total += sums[j];
  }
  return total != 0.0f;  // true for NaN
}

inline void masked_row(const uint8_t* bits, const float* x, int64_t count, float* y) {
  int64_t i = 0;
#ifdef __AVX512F__
  for (; i + 16 <= count; i += 16) {
    const auto lanes = static_cast<__mmask16>(bits[i / 8] | bits[i / 8 + 1] << 8);
    _mm512_storeu_ps(y + i, _mm512_maskz_loadu_ps(lanes, x + i));
  }
  if (i < count) {
    const int64_t left = count - i;
    const auto all = static_cast<__mmask16>((1u << left) - 1);
    const auto lanes = static_cast<__mmask16>((bits[i / 8] | (left > 8 ? bits[i / 8 + 1] << 8 : 0)) & all);
    _mm512_mask_storeu_ps(y + i, all, _mm512_maskz_loadu_ps(lanes, x + i));
  }
#else
  for (; i + 8 <= count; i += 8) {
    const uint32_t eight = bits[i / 8];
    for (int64_t j = 0; j < 8; ++j) y[i + j] = (eight >> j & 1) != 0 ? x[i + j] : 0.0f;
  }
  for (; i < count; ++i) y[i] = (bits[i / 8] >> i % 8 & 1) != 0 ? x[i] : 0.0f;
#endif
}

void masked(const uint8_t* bits, const float* x, int64_t rows, int64_t row, float* y) {
  if (row % 8 == 0) return masked_row(bits, x, rows * row, y);
  for (int64_t r = 0; r < rows; ++r, bits += bit_bytes(row), x += row, y += row) masked_row(bits, x, row, y);
}

void widen(const int8_t* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i];
}

template <bool kHalfUp, bool kBits>
void quantize_as(const QuantizeArguments& a, int64_t count) {
  constexpr int64_t kChunk = 256;
  const float low = a.low, high = a.high, inverse = a.inverse_scale;
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t n = count - begin < kChunk ? count - begin : kChunk;
    const float* __restrict x = a.x + begin;
    int8_t* __restrict y = a.y + begin;
    [[maybe_unused]] uint8_t flags[kChunk];
    for (int64_t i = 0; i < n; ++i) {
      float v = x[i] * inverse;
      v = v == v ? v : 0;
      v = v < low - 1 ? low - 1 : v;
      v = v > high + 1 ? high + 1 : v;
      float r = (v + 0x1.8p23f) - 0x1.8p23f;  // half to even
      if constexpr (kHalfUp) r = v - r >= 0.5f ? r + 1 : r;
      if constexpr (kBits) flags[i] = static_cast<uint8_t>((r >= low) & (r <= high));
      r = r < low ? low : r;
      r = r > high ? high : r;
      y[i] = static_cast<int8_t>(static_cast<int32_t>(r));
    }
    if constexpr (kBits) pack_bits(flags, n, a.bits + begin / 8);
  }
}

void quantize(const QuantizeArguments& a, int64_t count) {
  if (a.bits != nullptr)
    (a.half_up ? quantize_as<true, true> : quantize_as<false, true>)(a, count);
  else
    (a.half_up ? quantize_as<true, false> : quantize_as<false, false>)(a, count);
}

void bins(const float* x, int64_t count, double inverse_width, int32_t bins, int32_t* bin) {
  const double last = bins - 1, nan = bins;
  for (int64_t i = 0; i < count; ++i) {
    double at = x[i];
    at = (at < 0 ? -at : at) * inverse_width;
    at = at > last ? last : at;
    bin[i] = static_cast<int32_t>(at == at ? at : nan);
  }
}

double squared_error(const float* x, int64_t count, float inverse_scale, float low, float high) {
  constexpr int kSums = 32;
  float sums[kSums] = {};
  const auto squared = [=](float value) {
    const float v = value * inverse_scale;
    float q = v < low ? low : v;
    q = q > high ? high : q;
    q = (q + 0x1.8p23f) - 0x1.8p23f;  // the direction of ties makes no difference
    return (v - q) * (v - q);
  };
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int j = 0; j < kSums; ++j) sums[j] += squared(x[i + j]);
  for (int j = 0; i < count; ++i, ++j) sums[j] += squared(x[i]);
  double total = 0;
  for (const float sum : sums) total += static_cast<double>(sum);
  return total;
}

int64_t sum_abs(const int8_t* x, int64_t count) {
  constexpr int64_t kChunk = 1 << 20;  // 32 bits hold its sum
  int64_t total = 0, done = 0;
#ifdef __AVX512BW__
  __m512i sums = _mm512_setzero_si512();
  for (; done + 64 <= count; done += 64)
    sums =
        _mm512_add_epi64(sums, _mm512_sad_epu8(_mm512_abs_epi8(_mm512_loadu_si512(x + done)), _mm512_setzero_si512()));
  total = _mm512_reduce_add_epi64(sums);
#endif
  for (int64_t begin = done; begin < count; begin += kChunk) {
    const int64_t end = count - begin < kChunk ? count : begin + kChunk;
    int32_t sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += x[i] < 0 ? -x[i] : x[i];
    total += sum;
  }
  return total;
}

}  // namespace

const ElementwiseKernels SINTER_KERNELS(elementwise_kernels) = {range, masked,        widen,  quantize,
                                                                bins,  squared_error, sum_abs};

}  // namespace sinter::kernel
