#include "requantize.h"

#include <type_traits>

#include "bits.h"
#include "intrinsics.h"

namespace sinter::kernel {

namespace {

// What stands for a residual where there is none.
struct None {};
template <class Skip>
constexpr bool kAdds = !std::is_same_v<Skip, None>;

#ifdef __AVX512F__

// Sixteen values of a row at a time; `lanes` are those that exist. The comparison with the portable loops is a test.
// Pointers by value: what is written through an int8_t* might be any of the arguments' fields.

// Calls f(first channel, lanes) for the channels of a row.
template <class F>
void each_sixteen(int64_t channels, const F& f) {
  const int64_t whole = channels / 16 * 16;
  for (int64_t c = 0; c < whole; c += 16) f(c, static_cast<__mmask16>(0xffff));
  if (whole < channels) f(whole, static_cast<__mmask16>((1u << (channels - whole)) - 1));
}

// (acc + bias) scale + skip skip_scale of eight of them.
template <bool kSkip>
__m512d eight(__m256i sum, __m512d scale, __m256i skip, __m512d skip_scale) {
  const __m512d v = _mm512_mul_pd(_mm512_cvtepi32_pd(sum), scale);
  if constexpr (kSkip) return _mm512_add_pd(v, _mm512_mul_pd(_mm512_cvtepi32_pd(skip), skip_scale));
  return v;
}

inline __m512i widened(const int8_t* p, __mmask16 lanes) {
  return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(lanes, p));
}
inline __m512i widened(const int16_t* p, __mmask16 lanes) {
  return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(lanes, p));
}
inline void store(int8_t* p, __mmask16 lanes, __m512i v) { _mm_mask_storeu_epi8(p, lanes, _mm512_cvtepi32_epi8(v)); }
inline void store(int16_t* p, __mmask16 lanes, __m512i v) {
  _mm256_mask_storeu_epi16(p, lanes, _mm512_cvtepi32_epi16(v));
}

// Numbers per channel, or, kUniform, the first one's, which is read once: what is written might be any of them.
template <bool kUniform>
struct Integers {
  const int32_t* numbers;
  __m512i first;
  explicit Integers(const int32_t* p)
      : numbers(p), first(kUniform && p != nullptr ? _mm512_set1_epi32(*p) : _mm512_setzero_si512()) {}
  __m512i at(int64_t c, __mmask16 lanes) const {
    return kUniform ? first : _mm512_maskz_loadu_epi32(lanes, numbers + c);
  }
};
template <bool kUniform>
struct Doubles {
  const double* numbers;
  __m512d first;
  explicit Doubles(const double* p)
      : numbers(p), first(kUniform && p != nullptr ? _mm512_set1_pd(*p) : _mm512_setzero_pd()) {}
  __m512d low(int64_t c, __mmask16 lanes) const {
    return kUniform ? first : _mm512_maskz_loadu_pd(static_cast<__mmask8>(lanes), numbers + c);
  }
  __m512d high(int64_t c, __mmask16 lanes) const {
    return kUniform ? first : _mm512_maskz_loadu_pd(static_cast<__mmask8>(lanes >> 8), numbers + c + 8);
  }
};

template <class Skip, bool kUniform>
struct Sums {
  __m512i acc, skip = _mm512_setzero_si512();

  Sums(const int32_t* a, const Integers<kUniform>& bias, const Skip* s, int64_t c, __mmask16 lanes)
      : acc(_mm512_add_epi32(_mm512_maskz_loadu_epi32(lanes, a + c), bias.at(c, lanes))) {
    if constexpr (kAdds<Skip>) skip = widened(s + c, lanes);
  }
  __m256i acc_low() const { return _mm512_castsi512_si256(acc); }
  __m256i acc_high() const { return _mm512_extracti64x4_epi64(acc, 1); }
  __m256i skip_low() const { return _mm512_castsi512_si256(skip); }
  __m256i skip_high() const { return _mm512_extracti64x4_epi64(skip, 1); }
};

template <class Skip, class Y, bool kUniform>
void double_rows(const DoubleRescale& a, int64_t count) {
  const int64_t channels = a.channels;
  const __m512d low = _mm512_set1_pd(a.low), high = _mm512_set1_pd(a.high);
  const int32_t* acc = a.acc;
  const Integers<kUniform> bias(a.bias);
  const Skip* skip = static_cast<const Skip*>(a.skip.data);
  const Doubles<kUniform> scale(a.scale), skip_scale(a.skip_scale);
  Y* y = static_cast<Y*>(a.y.data);
  // Bounds are integers: rounding does not change what is clamped, whichever comes first.
  const auto limited = [&](__m512d v) {
    return _mm512_cvt_roundpd_epi32(_mm512_min_pd(_mm512_max_pd(v, low), high),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  };
  for (int64_t row = 0; row < count; ++row) {
    each_sixteen(channels, [&](int64_t c, __mmask16 lanes) {
      const Sums<Skip, kUniform> s(acc, bias, skip, c, lanes);
      __m512d low_skip = _mm512_setzero_pd(), high_skip = low_skip;
      if constexpr (kAdds<Skip>) {
        low_skip = skip_scale.low(c, lanes);
        high_skip = skip_scale.high(c, lanes);
      }
      const __m256i first = limited(eight<kAdds<Skip>>(s.acc_low(), scale.low(c, lanes), s.skip_low(), low_skip));
      const __m256i second = limited(eight<kAdds<Skip>>(s.acc_high(), scale.high(c, lanes), s.skip_high(), high_skip));
      const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
      store(y + c, lanes, both);
    });
    acc += channels;
    if constexpr (kAdds<Skip>) skip += channels;
    y += channels;
  }
}

template <class Skip>
void mask_rows(const MaskArguments& a, int64_t count) {
  const int64_t channels = a.channels, bytes = bit_bytes(channels);
  const __m512d above = _mm512_set1_pd(a.above), below = _mm512_set1_pd(a.below),
                skip_unit = _mm512_set1_pd(a.skip_unit);
  const int32_t* acc = a.acc;
  const Integers<false> bias(a.bias);
  const Skip* skip = static_cast<const Skip*>(a.skip.data);
  const Doubles<false> unit(a.unit);
  uint8_t* mask = a.mask;
  const auto passes = [&](__m512d v) {
    return _mm512_mask_cmp_pd_mask(_mm512_cmp_pd_mask(v, above, _CMP_GT_OQ), v, below, _CMP_LT_OQ);
  };
  for (int64_t row = 0; row < count; ++row) {
    each_sixteen(channels, [&](int64_t c, __mmask16 lanes) {
      const Sums<Skip, false> s(acc, bias, skip, c, lanes);
      const __m512d low = eight<kAdds<Skip>>(s.acc_low(), unit.low(c, lanes), s.skip_low(), skip_unit);
      const __m512d high = eight<kAdds<Skip>>(s.acc_high(), unit.high(c, lanes), s.skip_high(), skip_unit);
      mask[c / 8] = static_cast<uint8_t>(passes(low) & lanes);
      if ((lanes >> 8) != 0) mask[c / 8 + 1] = static_cast<uint8_t>(passes(high) & lanes >> 8);
    });
    acc += channels;
    if constexpr (kAdds<Skip>) skip += channels;
    mask += bytes;
  }
}

inline void store(int8_t* p, __mmask32 lanes, __m512i v) { _mm256_mask_storeu_epi8(p, lanes, _mm512_cvtepi16_epi8(v)); }
inline void store(int16_t* p, __mmask32 lanes, __m512i v) { _mm512_mask_storeu_epi16(p, lanes, v); }

// Thirty-two values at a time, in two vectors. What has at most 16 bits after a shift is packed into one with
// saturation, which puts four of the one beside four of the other; unpacking takes them apart again.
template <class Skip, class Y, bool kFirst, bool kStaged, bool kUniform>
void integer_rows(const IntegerRescale& a, int64_t count) {
  const int64_t channels = a.channels;
  const __m512i low = _mm512_set1_epi16(static_cast<int16_t>(a.low)),
                high = _mm512_set1_epi16(static_cast<int16_t>(a.high)), zero = _mm512_setzero_si512(),
                in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  const __m512i one = _mm512_set1_epi32(a.rounds ? 1 : 0);
  const int32_t* acc = a.acc;
  const Integers<kUniform> bias(a.bias), first(a.first), second(a.second), pre(a.pre), m(a.m), half(a.half),
      post(a.post);
  const Skip* skip = static_cast<const Skip*>(a.skip.data);
  Y* y = static_cast<Y*>(a.y.data);
  const auto sum = [&](int64_t c, __mmask16 lanes) {
    const Sums<Skip, kUniform> s(acc, bias, skip, c, lanes);
    __m512i v = s.acc;
    if constexpr (kFirst) v = _mm512_mullo_epi32(v, first.at(c, lanes));
    if constexpr (kAdds<Skip>) v = _mm512_add_epi32(v, _mm512_mullo_epi32(s.skip, second.at(c, lanes)));
    if constexpr (kStaged) v = _mm512_srav_epi32(v, pre.at(c, lanes));
    return v;
  };
  const auto shifted = [&](__m512i v, int64_t c, __mmask16 lanes) {
    const __m512i shift = post.at(c, lanes);
    if constexpr (kStaged) {  // a product of 16 bits each; that of the upper halves is 0
      v = _mm512_add_epi32(_mm512_madd_epi16(v, m.at(c, lanes)), half.at(c, lanes));
      return _mm512_srav_epi32(v, shift);
    }
    // in two steps, as the sum may be all that 32 bits hold
    const __m512i last = _mm512_and_si512(_mm512_min_epu32(shift, _mm512_set1_epi32(1)), one);
    v = _mm512_srav_epi32(v, _mm512_sub_epi32(shift, last));
    return _mm512_srav_epi32(_mm512_add_epi32(v, last), last);
  };
  const auto values = [&](int64_t c, __mmask32 lanes) {
    const auto left = static_cast<__mmask16>(lanes), right = static_cast<__mmask16>(lanes >> 16);
    __m512i v = sum(c, left), w = sum(c + 16, right);
    if constexpr (kStaged) {
      const __m512i both = _mm512_packs_epi32(v, w);
      v = _mm512_unpacklo_epi16(both, zero);
      w = _mm512_unpackhi_epi16(both, zero);
    }
    const __m512i both = _mm512_packs_epi32(shifted(v, c, left), shifted(w, c + 16, right));
    store(y + c, lanes, _mm512_permutexvar_epi64(in_order, _mm512_min_epi16(_mm512_max_epi16(both, low), high)));
  };
  const int64_t whole = channels / 32 * 32;
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t c = 0; c < whole; c += 32) values(c, ~__mmask32{0});
    if (whole < channels) values(whole, (__mmask32{1} << (channels - whole)) - 1);
    acc += channels;
    if constexpr (kAdds<Skip>) skip += channels;
    y += channels;
  }
}

#else

template <class Skip, class Y, bool kFirst, bool kStaged, bool kUniform>
void integer_rows(const IntegerRescale& a, int64_t count) {
  const int64_t channels = a.channels;
  const int32_t low = a.low, high = a.high, one = a.rounds ? 1 : 0;
  const int32_t* __restrict bias = a.bias;
  const int32_t* __restrict first = a.first;
  const int32_t* __restrict second = a.second;
  const int32_t* __restrict pre = a.pre;
  const int32_t* __restrict m = a.m;
  const int32_t* __restrict half = a.half;
  const int32_t* __restrict post = a.post;
  for (int64_t row = 0; row < count; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const Skip* __restrict skip = kAdds<Skip> ? static_cast<const Skip*>(a.skip.data) + row * channels : nullptr;
    Y* __restrict y = static_cast<Y*>(a.y.data) + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t n = kUniform ? 0 : c;
      int32_t v = acc[c] + bias[n];
      if constexpr (kFirst) v *= first[n];
      if constexpr (kAdds<Skip>) v += skip[c] * second[n];
      if constexpr (kStaged) {
        v >>= pre[n];
        v = v < -32768 ? -32768 : v;
        v = v > 32767 ? 32767 : v;
        v = (v * m[n] + half[n]) >> post[n];
      } else {  // in two steps, as the sum may be all that 32 bits hold
        const int32_t last = post[n] > 0 ? one : 0;
        v = ((v >> (post[n] - last)) + last) >> last;
      }
      v = v < low ? low : v;
      v = v > high ? high : v;
      y[c] = static_cast<Y>(v);
    }
  }
}

// |v| < 2^51: adding and taking away 1.5 * 2^52 rounds half to even.
inline double half_to_even(double v) { return (v + 0x1.8p52) - 0x1.8p52; }

template <class Skip, class Y, bool kUniform>
void double_rows(const DoubleRescale& a, int64_t count) {
  const int64_t channels = a.channels;
  const double low = a.low, high = a.high;
  const int32_t* __restrict bias = a.bias;
  const double* __restrict scale = a.scale;
  const double* __restrict skip_scale = a.skip_scale;
  for (int64_t row = 0; row < count; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const Skip* __restrict skip = kAdds<Skip> ? static_cast<const Skip*>(a.skip.data) + row * channels : nullptr;
    Y* __restrict y = static_cast<Y*>(a.y.data) + row * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t n = kUniform ? 0 : c;
      double v = static_cast<double>(acc[c] + bias[n]) * scale[n];
      if constexpr (kAdds<Skip>) v += static_cast<double>(skip[c]) * skip_scale[n];
      v = v < low ? low : v;
      v = v > high ? high : v;
      y[c] = static_cast<Y>(static_cast<int32_t>(half_to_even(v)));
    }
  }
}

template <class Skip>
void mask_rows(const MaskArguments& a, int64_t count) {
  const int64_t channels = a.channels;
  const double above = a.above, below = a.below, skip_unit = a.skip_unit;
  const int32_t* __restrict bias = a.bias;
  const double* __restrict unit = a.unit;
  constexpr int64_t kChunk = 256;
  for (int64_t row = 0; row < count; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const Skip* __restrict skip = kAdds<Skip> ? static_cast<const Skip*>(a.skip.data) + row * channels : nullptr;
    for (int64_t begin = 0; begin < channels; begin += kChunk) {
      const int64_t end = channels - begin < kChunk ? channels : begin + kChunk;
      uint8_t flags[kChunk];
      for (int64_t c = begin; c < end; ++c) {
        double v = static_cast<double>(acc[c] + bias[c]) * unit[c];
        if constexpr (kAdds<Skip>) v += static_cast<double>(skip[c]) * skip_unit;
        flags[c - begin] = static_cast<uint8_t>((v > above) & (v < below));
      }
      pack_bits(flags, end - begin, a.mask + row * bit_bytes(channels) + begin / 8);
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

// Rows of a few channels are computed several at once, as one row whose numbers repeat.
constexpr int64_t kWide = 256;

template <class T>
struct Repeated {
  T values[kWide];
  const T* of(const T* numbers, int64_t channels, int64_t times) {
    if (numbers == nullptr) return nullptr;
    for (int64_t i = 0; i < times; ++i)
      for (int64_t c = 0; c < channels; ++c) values[i * channels + c] = numbers[c];
    return values;
  }
};

void real(const RealArguments& a, int64_t begin, int64_t end, float* out) {
  RealArguments wide = a;
  Repeated<double> bias, unit;
  const int64_t times = end - begin > 4 * kWide ? kWide / a.channels : 1;
  if (times > 4) {
    wide.bias = bias.of(a.bias, a.channels, times);
    wide.unit = unit.of(a.unit, a.channels, times);
    wide.channels = times * a.channels;
  }
  (a.skip != nullptr ? real_as<true> : real_as<false>)(wide, begin, end, out);
}

// How many rows to compute as one: so many that all lanes are filled; 1: they are as they are.
int64_t rows_at_once(int64_t channels, int64_t count) {
  int64_t times = 1;
  while (times * channels % 32 != 0) times *= 2;
  if (times == 1 || times * channels > kWide) return 1;
  times *= kWide / (times * channels);
  return count >= 8 * times ? times : 1;
}

// The rows of `a` but the first ones.
template <class Arguments>
Arguments without(Arguments a, int64_t rows) {
  const int64_t values = rows * a.channels;
  a.acc += values;
  if (a.skip.data != nullptr) a.skip.data = static_cast<const int8_t*>(a.skip.data) + (a.skip.wide ? 2 : 1) * values;
  a.y.data = static_cast<int8_t*>(a.y.data) + (a.y.wide ? 2 : 1) * values;
  return a;
}

// Calls f with values of the types of a residual (None, int8_t or int16_t) and of an output.
template <class F>
void with_skip(const Narrow& skip, const F& f) {
  if (skip.data == nullptr) return f(None{});
  skip.wide ? f(int16_t{}) : f(int8_t{});
}
template <class F>
void with_types(const Narrow& skip, const NarrowOut& y, const F& f) {
  with_skip(skip, [&](auto s) { y.wide ? f(s, int16_t{}) : f(s, int8_t{}); });
}

void integer_all(const IntegerRescale& a, int64_t count) {
  with_types(a.skip, a.y, [&]<class Skip, class Y>(Skip, Y) {
    const auto by = [&]<bool kUniform>(std::bool_constant<kUniform>) {
      if (a.first != nullptr)
        (a.staged ? integer_rows<Skip, Y, true, true, kUniform> : integer_rows<Skip, Y, true, false, kUniform>)(a,
                                                                                                                count);
      else
        (a.staged ? integer_rows<Skip, Y, false, true, kUniform>
                  : integer_rows<Skip, Y, false, false, kUniform>)(a, count);
    };
    a.uniform ? by(std::true_type()) : by(std::false_type());
  });
}

void double_all(const DoubleRescale& a, int64_t count) {
  with_types(a.skip, a.y, [&]<class Skip, class Y>(Skip, Y) {
    (a.uniform ? double_rows<Skip, Y, true> : double_rows<Skip, Y, false>)(a, count);
  });
}

// f(a, rows) on as few, as wide rows as there can be; `repeat(wide, times)` repeats a's numbers.
template <class Arguments, class F, class Repeat>
void in_wide_rows(const Arguments& a, int64_t count, const F& f, const Repeat& repeat) {
  Arguments wide = a;
  if (a.uniform) {
    wide.channels = a.channels * count;
    return f(wide, 1);
  }
  const int64_t times = rows_at_once(a.channels, count);
  if (times == 1) return f(a, count);
  wide.channels = a.channels * times;
  repeat(wide, times);
  f(wide, count / times);
  f(without(a, count / times * times), count % times);
}

void integers(const IntegerRescale& a, int64_t count) {
  Repeated<int32_t> bias, first, second, pre, m, half, post;
  in_wide_rows(a, count, integer_all, [&](IntegerRescale& wide, int64_t times) {
    wide.bias = bias.of(a.bias, a.channels, times);
    wide.first = first.of(a.first, a.channels, times);
    wide.second = second.of(a.second, a.channels, times);
    wide.pre = pre.of(a.pre, a.channels, times);
    wide.m = m.of(a.m, a.channels, times);
    wide.half = half.of(a.half, a.channels, times);
    wide.post = post.of(a.post, a.channels, times);
  });
}

void doubles(const DoubleRescale& a, int64_t count) {
  Repeated<int32_t> bias;
  Repeated<double> scale, skip_scale;
  in_wide_rows(a, count, double_all, [&](DoubleRescale& wide, int64_t times) {
    wide.bias = bias.of(a.bias, a.channels, times);
    wide.scale = scale.of(a.scale, a.channels, times);
    wide.skip_scale = skip_scale.of(a.skip_scale, a.channels, times);
  });
}

void mask(const MaskArguments& a, int64_t count) {
  with_skip(a.skip, [&]<class Skip>(Skip) { mask_rows<Skip>(a, count); });
}

}  // namespace

const RequantizeKernels SINTER_KERNELS(requantize_kernels) = {doubles, integers, mask, real};

}  // namespace sinter::kernel
