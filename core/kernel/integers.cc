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

// Adding and taking away 1.5 times the power of two from which on there are only integers rounds half to even.
inline float to_even(float v) { return (v + 0x1.8p23f) - 0x1.8p23f; }
inline double to_even(double v) { return (v + 0x1.8p52) - 0x1.8p52; }

template <Rounded::To kTo, class Real>
inline int32_t rounded(Real v, Real low, Real high) {
  v = v < low ? low : v;
  v = v > high ? high : v;
  Real r = to_even(v);
  if constexpr (kTo == Rounded::To::half_up) r = v - r >= Real(0.5) ? r + 1 : r;
  if constexpr (kTo == Rounded::To::down) r = r > v ? r - 1 : r;
  return static_cast<int32_t>(r);
}

// y[i] = f(i), rounded.
template <Rounded::To kTo, class Real, class T, class F>
inline void round_all(int64_t count, const Rounded& r, T* y, const F& f) {
  // In two steps, as vectors of as many bytes would be more of doubles than there are registers.
  constexpr int64_t kChunk = 256;
  const auto low = static_cast<Real>(r.low), high = static_cast<Real>(r.high);
  int32_t integers[kChunk];
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t n = count - begin < kChunk ? count - begin : kChunk;
    for (int64_t i = 0; i < n; ++i) integers[i] = rounded<kTo, Real>(f(begin + i), low, high);
    for (int64_t i = 0; i < n; ++i) y[begin + i] = static_cast<T>(integers[i]);
  }
}

template <class Real, class T, class F>
inline void round_all(int64_t count, const Rounded& r, T* y, const F& f) {
  switch (r.to) {
    case Rounded::To::even:
      return round_all<Rounded::To::even, Real>(count, r, y, f);
    case Rounded::To::half_up:
      return round_all<Rounded::To::half_up, Real>(count, r, y, f);
    case Rounded::To::down:
      return round_all<Rounded::To::down, Real>(count, r, y, f);
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

template <class Real, class T>
void blend_rows_as(const int32_t* a, const int32_t* b, double up, double down, int64_t count, const Rounded& r, T* y) {
  const auto p = static_cast<Real>(up), q = static_cast<Real>(down);
  round_all<Real>(count, r, y, [=](int64_t i) { return static_cast<Real>(a[i]) * p + static_cast<Real>(b[i]) * q; });
}

template <class T>
void blend_rows(const int32_t* a, const int32_t* b, double up, double down, bool in_float, int64_t count,
                const Rounded& r, T* y) {
  (in_float ? blend_rows_as<float, T> : blend_rows_as<double, T>)(a, b, up, down, count, r, y);
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

template <class T>
constexpr IntegersOf<T> kIntegers{largest<T>, accumulate<T>, widen<T>,         product<T>,
                                  split<T>,   clamp<T>,      blend_columns<T>, blend_rows<T>};

}  // namespace

const IntegerKernels SINTER_KERNELS(integer_kernels) = {kIntegers<int8_t>, kIntegers<int16_t>, sums, look_up};

}  // namespace sinter::kernel
