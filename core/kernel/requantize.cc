#include "requantize.h"

#include "bits.h"

#ifdef __AVX512F__
#include <immintrin.h>
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // g++ 12 says both of its own header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#endif

namespace sinter::kernel {

namespace {

#ifdef __AVX512F__

// Sixteen values of a row at a time; `lanes` are those that exist. The comparison with the portable loop is a test.
template <bool kSkip, bool kHalfUp, bool kMask>
inline void sixteen(const RequantizeArguments& a, int64_t row, int64_t c, __mmask16 lanes) {
  const int64_t at = row * a.channels + c;
  const auto low_half = static_cast<__mmask8>(lanes), high_half = static_cast<__mmask8>(lanes >> 8);
  const __m512i acc = _mm512_maskz_loadu_epi32(lanes, a.acc + at);
  const auto rescaled = [&](__m256i half, __mmask8 valid, int64_t channel, __m256i skip) {
    __m512d v = _mm512_add_pd(_mm512_cvtepi32_pd(half), _mm512_maskz_loadu_pd(valid, a.bias + channel));
    v = _mm512_mul_pd(v, _mm512_maskz_loadu_pd(valid, a.scale + channel));
    if constexpr (kSkip)
      v = _mm512_add_pd(v,
                        _mm512_mul_pd(_mm512_cvtepi32_pd(skip), _mm512_maskz_loadu_pd(valid, a.skip_scale + channel)));
    return v;
  };
  __m512i skips = _mm512_setzero_si512();
  if constexpr (kSkip) skips = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, a.skip + at));
  const __m512d v0 = rescaled(_mm512_castsi512_si256(acc), low_half, c, _mm512_castsi512_si256(skips));
  const __m512d v1 = rescaled(_mm512_extracti64x4_epi64(acc, 1), high_half, c + 8, _mm512_extracti64x4_epi64(skips, 1));
  const auto rounded = [](__m512d v) {
    if constexpr (kHalfUp)
      return _mm512_roundscale_pd(_mm512_add_pd(v, _mm512_set1_pd(0.5)), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    else
      return _mm512_roundscale_pd(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  };
  const __m512d r0 = rounded(v0), r1 = rounded(v1);
  if constexpr (kMask) {
    const auto passes = [&](__m512d v, __m512d r) {
      __mmask8 k = _mm512_cmp_pd_mask(v, _mm512_set1_pd(a.relu ? 0 : -0x1p60), _CMP_GT_OQ);
      k = _mm512_mask_cmp_pd_mask(k, v, _mm512_set1_pd(a.below), _CMP_LT_OQ);
      k = _mm512_mask_cmp_pd_mask(k, r, _mm512_set1_pd(a.mask_low), _CMP_GE_OQ);
      return _mm512_mask_cmp_pd_mask(k, r, _mm512_set1_pd(a.mask_high), _CMP_LE_OQ);
    };
    uint8_t* bits = a.mask + row * bit_bytes(a.channels) + c / 8;
    bits[0] = static_cast<uint8_t>(passes(v0, r0) & low_half);
    if (high_half != 0) bits[1] = static_cast<uint8_t>(passes(v1, r1) & high_half);
  }
  // Bounds are integers: rounding first does not change what is clamped.
  const auto clamped = [&](__m512d r) {
    return _mm512_cvtpd_epi32(_mm512_min_pd(_mm512_max_pd(r, _mm512_set1_pd(a.low)), _mm512_set1_pd(a.high)));
  };
  const __m512i y = _mm512_inserti64x4(_mm512_castsi256_si512(clamped(r0)), clamped(r1), 1);
  _mm512_mask_cvtepi32_storeu_epi8(a.y + at, lanes, y);
}

template <bool kSkip, bool kHalfUp, bool kMask>
void rows(const RequantizeArguments& a, int64_t begin, int64_t end) {
  const int64_t whole = a.channels / 16 * 16;
  const auto rest = static_cast<__mmask16>((1u << (a.channels - whole)) - 1);
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t c = 0; c < whole; c += 16) sixteen<kSkip, kHalfUp, kMask>(a, row, c, 0xffff);
    if (rest != 0) sixteen<kSkip, kHalfUp, kMask>(a, row, whole, rest);
  }
}

#else

// |v| < 2^51: adding and taking away 1.5 * 2^52 rounds half to even.
inline double half_to_even(double v) { return (v + 0x1.8p52) - 0x1.8p52; }

// floor(v + 0.5) without a call: round to even, then take one off where that went above.
inline double half_up(double v) {
  const double shifted = v + 0.5;
  const double rounded = half_to_even(shifted);
  return rounded > shifted ? rounded - 1 : rounded;
}

template <bool kSkip, bool kHalfUp, bool kMask>
void rows(const RequantizeArguments& a, int64_t begin, int64_t end) {
  const int64_t channels = a.channels;
  const double low = a.low, high = a.high, mask_low = a.mask_low, mask_high = a.mask_high, below = a.below;
  const double above = a.relu ? 0 : -0x1p60;
  const double* __restrict bias = a.bias;
  const double* __restrict scale = a.scale;
  const double* __restrict skip_scale = a.skip_scale;
  for (int64_t row = begin; row < end; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const int8_t* __restrict skip = kSkip ? a.skip + row * channels : nullptr;
    int8_t* __restrict y = a.y + row * channels;
    constexpr int64_t kChunk = 256;
    for (int64_t begin = 0; begin < channels; begin += kChunk) {
      const int64_t end = channels - begin < kChunk ? channels : begin + kChunk;
      uint8_t flags[kChunk];
      for (int64_t c = begin; c < end; ++c) {
        double v = (static_cast<double>(acc[c]) + bias[c]) * scale[c];
        if constexpr (kSkip) v += static_cast<double>(skip[c]) * skip_scale[c];
        if constexpr (kMask) {
          const double r = kHalfUp ? half_up(v) : half_to_even(v);
          flags[c - begin] = static_cast<uint8_t>((v > above) & (v < below) & (r >= mask_low) & (r <= mask_high));
        }
        v = v < low ? low : v;
        v = v > high ? high : v;
        v = kHalfUp ? half_up(v) : half_to_even(v);
        y[c] = static_cast<int8_t>(static_cast<int32_t>(v));
      }
      if constexpr (kMask) pack_bits(flags, end - begin, a.mask + row * bit_bytes(channels) + begin / 8);
    }
  }
}

#endif

template <bool kSkip>
void real_as(const RealArguments& a, int64_t begin, int64_t end, float* __restrict out) {
  int64_t c = begin % a.channels;
  for (int64_t i = begin; i < end; c = 0) {
    const int64_t left = a.channels - c, count = left < end - i ? left : end - i;
    const int32_t* __restrict acc = a.acc + i;
    const int8_t* __restrict skip = kSkip ? a.skip + i : nullptr;
    const double* __restrict bias = a.bias + c;
    const double* __restrict unit = a.unit + c;
    for (int64_t k = 0; k < count; ++k) {
      double v = (static_cast<double>(acc[k]) + bias[k]) * unit[k];
      if constexpr (kSkip) v += static_cast<double>(skip[k]) * a.skip_unit;
      float f = static_cast<float>(v);
      f = f < a.low ? a.low : f;
      out[k] = f > a.high ? a.high : f;
    }
    out += count;
    i += count;
  }
}

void real(const RealArguments& a, int64_t begin, int64_t end, float* out) {
  (a.skip != nullptr ? real_as<true> : real_as<false>)(a, begin, end, out);
}

template <bool kSkip, bool kHalfUp>
void run_as(const RequantizeArguments& a, int64_t begin, int64_t end) {
  (a.mask != nullptr ? rows<kSkip, kHalfUp, true> : rows<kSkip, kHalfUp, false>)(a, begin, end);
}

void run(const RequantizeArguments& a, int64_t begin, int64_t end) {
  if (a.skip != nullptr)
    (a.half_up ? run_as<true, true> : run_as<true, false>)(a, begin, end);
  else
    (a.half_up ? run_as<false, true> : run_as<false, false>)(a, begin, end);
}

}  // namespace

const RequantizeKernels SINTER_KERNELS(requantize_kernels) = {run, real};

}  // namespace sinter::kernel
