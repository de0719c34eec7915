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
// Pointers by value: what is written through an int8_t* might be any of the arguments' fields.
struct Row {
  const int32_t* acc;
  const int8_t* skip;
  const int32_t* bias;
  const double *scale, *skip_scale, *unit;
  int8_t* y;
};

// `kReal`: their real values, too.
template <bool kSkip, bool kReal>
struct Sixteen {
  __m512d low, high, real_low, real_high;

  Sixteen(const Row& row, __m512d skip_unit, int64_t c, __mmask16 lanes) {
    const auto low_half = static_cast<__mmask8>(lanes), high_half = static_cast<__mmask8>(lanes >> 8);
    const __m512i acc =
        _mm512_add_epi32(_mm512_maskz_loadu_epi32(lanes, row.acc + c), _mm512_maskz_loadu_epi32(lanes, row.bias + c));
    __m512i skips = _mm512_setzero_si512();
    if constexpr (kSkip) skips = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, row.skip + c));
    const auto rescale = [&](__m256i half, __mmask8 valid, int64_t channel, __m256i half_skip, __m512d& v,
                             __m512d& real) {
      const __m512d sum = _mm512_cvtepi32_pd(half), skip = _mm512_cvtepi32_pd(half_skip);
      v = _mm512_mul_pd(sum, _mm512_maskz_loadu_pd(valid, row.scale + channel));
      if constexpr (kSkip)  // exact, as every product and sum of the rescaled
        v = _mm512_fmadd_pd(skip, _mm512_maskz_loadu_pd(valid, row.skip_scale + channel), v);
      if constexpr (kReal) real = _mm512_mul_pd(sum, _mm512_maskz_loadu_pd(valid, row.unit + channel));
      if constexpr (kReal && kSkip)
        real = _mm512_add_pd(real, _mm512_mul_pd(skip, skip_unit));  // rounded twice, as everywhere
    };
    rescale(_mm512_castsi512_si256(acc), low_half, c, _mm512_castsi512_si256(skips), low, real_low);
    rescale(_mm512_extracti64x4_epi64(acc, 1), high_half, c + 8, _mm512_extracti64x4_epi64(skips, 1), high, real_high);
  }
};

template <bool kHalfUp>
struct Clamp {
  __m512d low, high;

  explicit Clamp(const RequantizeArguments& a) : low(_mm512_set1_pd(a.low)), high(_mm512_set1_pd(a.high)) {}
  // Bounds are integers: rounding does not change what is clamped, whichever comes first. To even rounds the
  // conversion by itself.
  __m256i operator()(__m512d v) const {
    if constexpr (kHalfUp)
      v = _mm512_roundscale_pd(_mm512_add_pd(v, _mm512_set1_pd(0.5)), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    return _mm512_cvt_roundpd_epi32(_mm512_min_pd(_mm512_max_pd(v, low), high),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
};

template <bool kSkip, bool kHalfUp, bool kMask>
void rows(const RequantizeArguments& a, int64_t begin, int64_t end) {
  const int64_t channels = a.channels, whole = channels / 16 * 16, bytes = bit_bytes(channels);
  const auto rest = static_cast<__mmask16>((1u << (channels - whole)) - 1);
  const Clamp<kHalfUp> clamp(a);
  const __m512d above = _mm512_set1_pd(a.above), below = _mm512_set1_pd(a.below),
                skip_unit = _mm512_set1_pd(a.skip_unit);
  const auto passes = [&](__m512d v) {
    return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(v, above, _CMP_GT_OQ), v, below, _CMP_LT_OQ);
  };
  Row row{a.acc + begin * channels, kSkip ? a.skip + begin * channels : nullptr, a.bias, a.scale, a.skip_scale, a.unit,
          a.y + begin * channels};
  uint8_t* mask = kMask ? a.mask + begin * bytes : nullptr;
  const auto sixteen = [&](int64_t c, __mmask16 lanes) {
    const Sixteen<kSkip, kMask> v(row, skip_unit, c, lanes);
    if constexpr (kMask) {
      mask[c / 8] = static_cast<uint8_t>(passes(v.real_low) & lanes);
      if ((lanes >> 8) != 0) mask[c / 8 + 1] = static_cast<uint8_t>(passes(v.real_high) & lanes >> 8);
    }
    const __m512i y = _mm512_inserti64x4(_mm512_castsi256_si512(clamp(v.low)), clamp(v.high), 1);
    const __m128i bytes_of_y = _mm512_cvtepi32_epi8(y);
    if (lanes == 0xffff)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(row.y + c), bytes_of_y);
    else
      _mm_mask_storeu_epi8(row.y + c, lanes, bytes_of_y);
  };
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t c = 0; c < whole; c += 16) sixteen(c, 0xffff);
    if (rest != 0) sixteen(whole, rest);
    row.acc += channels;
    if constexpr (kSkip) row.skip += channels;
    row.y += channels;
    if constexpr (kMask) mask += bytes;
  }
}

template <bool kSkip, bool kFirst, bool kStaged>
void integer_rows(const IntegerRescale& a, int64_t count) {
  const int64_t channels = a.channels, whole = channels / 16 * 16;
  const auto rest = static_cast<__mmask16>((1u << (channels - whole)) - 1);
  const __m512i low = _mm512_set1_epi32(a.low), high = _mm512_set1_epi32(a.high);
  const __m512i least = _mm512_set1_epi32(-32768), most = _mm512_set1_epi32(32767);
  const __m512i one = _mm512_set1_epi32(a.rounds ? 1 : 0);
  const int32_t *acc = a.acc, *bias = a.bias, *first = a.first, *second = a.second, *pre = a.pre, *m = a.m,
                *post = a.post;
  const int8_t* skip = a.skip;
  int8_t* y = a.y;
  const auto sixteen = [&](int64_t c, __mmask16 lanes) {
    __m512i v = _mm512_add_epi32(_mm512_maskz_loadu_epi32(lanes, acc + c), _mm512_maskz_loadu_epi32(lanes, bias + c));
    if constexpr (kFirst) v = _mm512_mullo_epi32(v, _mm512_maskz_loadu_epi32(lanes, first + c));
    if constexpr (kSkip) {
      const __m512i b = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, skip + c));
      v = _mm512_add_epi32(v, _mm512_mullo_epi32(b, _mm512_maskz_loadu_epi32(lanes, second + c)));
    }
    if constexpr (kStaged) {
      v = _mm512_srav_epi32(v, _mm512_maskz_loadu_epi32(lanes, pre + c));
      v = _mm512_min_epi32(_mm512_max_epi32(v, least), most);
      // Of 16 bits each, sign-extended: the sum of their products and of 0.
      v = _mm512_madd_epi16(_mm512_and_si512(v, _mm512_set1_epi32(0xffff)), _mm512_maskz_loadu_epi32(lanes, m + c));
    }
    const __m512i shift = _mm512_maskz_loadu_epi32(lanes, post + c);
    if constexpr (kStaged) {
      const __m512i half = _mm512_srli_epi32(_mm512_sllv_epi32(one, shift), 1);
      v = _mm512_srav_epi32(_mm512_add_epi32(v, half), shift);
    } else {  // in two steps, as the sum may be all that 32 bits hold
      const __m512i last = _mm512_and_si512(_mm512_min_epu32(shift, _mm512_set1_epi32(1)), one);
      v = _mm512_srav_epi32(v, _mm512_sub_epi32(shift, last));
      v = _mm512_srav_epi32(_mm512_add_epi32(v, last), last);
    }
    v = _mm512_min_epi32(_mm512_max_epi32(v, low), high);
    _mm_mask_storeu_epi8(y + c, lanes, _mm512_cvtepi32_epi8(v));
  };
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t c = 0; c < whole; c += 16) sixteen(c, 0xffff);
    if (rest != 0) sixteen(whole, rest);
    acc += channels;
    if constexpr (kSkip) skip += channels;
    y += channels;
  }
}

#else

template <bool kSkip, bool kFirst, bool kStaged>
void integer_rows(const IntegerRescale& a, int64_t count) {
  const int64_t channels = a.channels;
  const int32_t low = a.low, high = a.high, one = a.rounds ? 1 : 0;
  const int32_t* __restrict bias = a.bias;
  const int32_t* __restrict first = a.first;
  const int32_t* __restrict second = a.second;
  const int32_t* __restrict pre = a.pre;
  const int32_t* __restrict m = a.m;
  const int32_t* __restrict post = a.post;
  for (int64_t row = 0; row < count; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const int8_t* __restrict skip = kSkip ? a.skip + row * channels : nullptr;
    int8_t* __restrict y = a.y + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      int32_t v = acc[c] + bias[c];
      if constexpr (kFirst) v *= first[c];
      if constexpr (kSkip) v += skip[c] * second[c];
      if constexpr (kStaged) {
        v >>= pre[c];
        v = v < -32768 ? -32768 : v;
        v = v > 32767 ? 32767 : v;
        v *= m[c];
      }
      if constexpr (kStaged) {
        v = (v + static_cast<int32_t>((static_cast<uint32_t>(one) << post[c]) >> 1)) >> post[c];
      } else {  // in two steps, as the sum may be all that 32 bits hold
        const int32_t last = post[c] > 0 ? one : 0;
        v = ((v >> (post[c] - last)) + last) >> last;
      }
      v = v < low ? low : v;
      v = v > high ? high : v;
      y[c] = static_cast<int8_t>(v);
    }
  }
}

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
  const double low = a.low, high = a.high, above = a.above, below = a.below, skip_unit = a.skip_unit;
  const int32_t* __restrict bias = a.bias;
  const double* __restrict scale = a.scale;
  const double* __restrict skip_scale = a.skip_scale;
  const double* __restrict unit = a.unit;
  for (int64_t row = begin; row < end; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const int8_t* __restrict skip = kSkip ? a.skip + row * channels : nullptr;
    int8_t* __restrict y = a.y + row * channels;
    constexpr int64_t kChunk = 256;
    for (int64_t begin = 0; begin < channels; begin += kChunk) {
      const int64_t end = channels - begin < kChunk ? channels : begin + kChunk;
      uint8_t flags[kChunk];
      for (int64_t c = begin; c < end; ++c) {
        const auto sum = static_cast<double>(acc[c] + bias[c]);
        double v = sum * scale[c];
        if constexpr (kSkip) v += static_cast<double>(skip[c]) * skip_scale[c];
        if constexpr (kMask) {
          double real = sum * unit[c];
          if constexpr (kSkip) real += static_cast<double>(skip[c]) * skip_unit;
          flags[c - begin] = static_cast<uint8_t>((real > above) & (real < below));
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

template <bool kSkip>
void integers_as(const IntegerRescale& a, int64_t count) {
  if (a.first != nullptr)
    (a.staged ? integer_rows<kSkip, true, true> : integer_rows<kSkip, true, false>)(a, count);
  else
    (a.staged ? integer_rows<kSkip, false, true> : integer_rows<kSkip, false, false>)(a, count);
}

void integers(const IntegerRescale& a, int64_t count) {
  (a.skip != nullptr ? integers_as<true> : integers_as<false>)(a, count);
}

}  // namespace

const RequantizeKernels SINTER_KERNELS(requantize_kernels) = {run, integers, real};

}  // namespace sinter::kernel
