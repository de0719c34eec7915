#include "integers.h"

#include "independent.h"
#include "intrinsics.h"

namespace sinter::kernel {

namespace {

// f(x, y, count) for the channels of each output, or for all at once where they lie together.
template <class X, class Y, class F>
inline void each_output(const X* x, int64_t step, int64_t channels, int64_t outputs, Y* y, const F& f) {
  if (step == channels) return f(x, y, channels * outputs);
  for (int64_t o = 0; o < outputs; ++o) f(x + o * step, y + o * channels, channels);
}

template <class T>
void largest(const T* x, int64_t step, int64_t channels, int64_t outputs, T* y) {
  each_output(x, step, channels, outputs, y, [](const T* from, T* to, int64_t count) {
    SINTER_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] > to[i] ? from[i] : to[i];
  });
}

template <class T>
void least(const T* x, int64_t step, int64_t channels, int64_t outputs, T* y) {
  each_output(x, step, channels, outputs, y, [](const T* from, T* to, int64_t count) {
    SINTER_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] < to[i] ? from[i] : to[i];
  });
}

void sums(const int32_t* x, int64_t step, int64_t channels, int64_t outputs, int32_t* y) {
  each_output(x, step, channels, outputs, y, [](const int32_t* from, int32_t* to, int64_t count) {
    SINTER_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
  });
}

template <class T>
void accumulate(const T* x, int64_t count, int32_t* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] += x[i];
}

template <class T>
void real(const T* x, float scale, int64_t count, float* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i]) * scale;
}

template <class T>
void accumulate_products(const T* x, const int8_t* weight, int64_t count, int32_t* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] += x[i] * weight[i];
}

template <class T>
void widen(const T* x, int64_t count, int32_t* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = x[i];
}

template <class T>
void product(const T* a, const T* b, int64_t count, int32_t* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] * b[i];
}

template <class T>
void split(const T* x, int64_t count, int32_t* y, T* below) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : 0;
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) below[i] = x[i] < 0 ? x[i] : T{0};
}

template <class T>
void clamp(const T* x, int64_t count, T low, T high, T* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const T v = x[i] < low ? low : x[i];
    y[i] = v > high ? high : v;
  }
}

template <class T>
void blend_columns(const T* x, const int64_t* low, const int64_t* high, const int32_t* left, const int32_t* right,
                   int64_t channels, int64_t outputs, int32_t* y) {
  for (int64_t o = 0; o < outputs; ++o) {
    const T *p = x + low[o] * channels, *q = x + high[o] * channels;
    const int32_t wp = left[o], wq = right[o];
    int32_t* to = y + o * channels;
    SINTER_INDEPENDENT
    for (int64_t c = 0; c < channels; ++c) to[c] = p[c] * wp + q[c] * wq;
  }
}

// w and whether anything is below it of a sum that is w 2^bits and that.
struct Shifted {
  int32_t floor;
  uint32_t rest;
};

// a up + b down, up + down = 2^bits, without its lowest bits: in two parts, as 32 bits do not hold the whole.
template <class T>
inline Shifted blended(int32_t a, int32_t b, int32_t up, int32_t down, int bits) {
  const int32_t below = (int32_t{1} << bits) - 1;
  if constexpr (sizeof(T) == 1) {  // whose differences fit
    const int32_t difference = b - a;
    const uint32_t low = static_cast<uint32_t>(difference & below) * static_cast<uint32_t>(down);
    return {a + (difference >> bits) * down + static_cast<int32_t>(low >> bits), low & static_cast<uint32_t>(below)};
  } else {
    const uint32_t low = static_cast<uint32_t>(a & below) * static_cast<uint32_t>(up) +
                         static_cast<uint32_t>(b & below) * static_cast<uint32_t>(down);
    return {(a >> bits) * up + (b >> bits) * down + static_cast<int32_t>(low >> bits),
            low & static_cast<uint32_t>(below)};
  }
}

template <ShiftTo kTo, class T>
void blend_rows_to(const int32_t* a, const int32_t* b, int32_t down, int bits, int64_t count, T* y) {
  const int32_t half = int32_t{1} << (bits - 1), up = 2 * half - down;
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) {
    const Shifted v = blended<T>(a[i], b[i], up, down, bits);
    int32_t more = kTo == ShiftTo::half_up ? half : 0;
    if constexpr (kTo == ShiftTo::even) more = half - 1 + (((v.floor >> bits) & 1) | (v.rest != 0 ? 1 : 0));
    y[i] = static_cast<T>((v.floor + more) >> bits);
  }
}

template <class T>
void blend_rows(const int32_t* a, const int32_t* b, int32_t down, int bits, ShiftTo to, int64_t count, T* y) {
  switch (to) {
    case ShiftTo::even:
      return blend_rows_to<ShiftTo::even>(a, b, down, bits, count, y);
    case ShiftTo::half_up:
      return blend_rows_to<ShiftTo::half_up>(a, b, down, bits, count, y);
    case ShiftTo::down:
      return blend_rows_to<ShiftTo::down>(a, b, down, bits, count, y);
  }
}

// A known step lets the compiler use vectors.
template <int kStep, class T>
void gather_by(const T* x, int64_t count, T* y) {
  SINTER_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) y[i] = x[i * kStep];
}

template <class T>
void gather(const T* x, int64_t step, int64_t count, T* y) {
  if (step == 2) return gather_by<2>(x, count, y);
  if (step == 4) return gather_by<4>(x, count, y);
  // Four at a time by hand: vectors put together of single elements take longer.
  int64_t i = 0;
  for (; i + 4 <= count; i += 4, x += 4 * step) {
    const T a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
    y[i] = a;
    y[i + 1] = b;
    y[i + 2] = c;
    y[i + 3] = d;
  }
  for (; i < count; ++i, x += step) y[i] = *x;
}

void look_up(const int8_t* table, const int8_t* x, int64_t count, int8_t* y) {
  int64_t i = 0;
#ifdef __AVX512BW__
  // Of 32 bytes at a time, as 16 bits: which of 128 pairs of entries, then which of the two.
  __m512i pairs[4];
  for (int k = 0; k < 4; ++k) pairs[k] = _mm512_loadu_si512(table + 64 * k);
  const __m512i bias = _mm512_set1_epi16(128), one = _mm512_set1_epi16(1);
  for (; i + 32 <= count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    const __m512i index = _mm512_add_epi16(_mm512_cvtepi8_epi16(bytes), bias), pair = _mm512_srli_epi16(index, 1);
    const __m512i lower = _mm512_permutex2var_epi16(pairs[0], pair, pairs[1]);
    const __m512i upper = _mm512_permutex2var_epi16(pairs[2], pair, pairs[3]);
    const __m512i both = _mm512_mask_blend_epi16(_mm512_test_epi16_mask(index, bias), lower, upper);
    const __m512i entry = _mm512_srlv_epi16(both, _mm512_slli_epi16(_mm512_and_si512(index, one), 3));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i), _mm512_cvtepi16_epi8(entry));
  }
#endif
  for (; i < count; ++i) y[i] = table[x[i] + 128];
}

void look_up_words(const int16_t* table, const int16_t* x, int64_t count, int16_t* y) {
  const int16_t* middle = table + 32768;
  int64_t i = 0;
#ifdef __AVX512BW__
  // Of 32 bits from an entry on; the last one is the upper half of those from the one before it on.
  const __m512i last = _mm512_set1_epi32(32766);
  for (; i + 16 <= count; i += 16) {
    const __m512i index = _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)));
    const __m512i from = _mm512_min_epi32(index, last);
    const __m512i both = _mm512_i32gather_epi32(from, middle, 2);
    const __m512i entry = _mm512_srlv_epi32(both, _mm512_slli_epi32(_mm512_sub_epi32(index, from), 4));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i), _mm512_cvtepi32_epi16(entry));
  }
#endif
  for (; i < count; ++i) y[i] = middle[x[i]];
}

template <class T>
constexpr IntegersOf<T> kIntegers{largest<T>,    least<T>,   accumulate<T>, real<T>,  accumulate_products<T>,
                                  widen<T>,      product<T>, split<T>,      clamp<T>, blend_columns<T>,
                                  blend_rows<T>, gather<T>};

}  // namespace

const IntegerKernels SINTER_KERNELS(integer_kernels) = {kIntegers<int8_t>, kIntegers<int16_t>, sums, look_up,
                                                        look_up_words};

}  // namespace sinter::kernel
