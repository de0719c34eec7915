#include "matrices.h"

#include <utility>

#include "intrinsics.h"

namespace sinter::kernel {

namespace {

// Places of a pair that exist.
template <class T>
int64_t halves(const Matrix<T>& m, int64_t pair) {
  return 2 * pair + 2 <= m.depth ? 2 : 1;
}

template <class T>
void rows(const Matrix<T>& m, int16_t* __restrict to) {
  const int64_t depth = m.depth, padded = (depth + 1) / 2 * 2;
  if (depth == 0) return;
  for (int64_t i = 0; i < m.count; ++i, to += padded) {
    const T* __restrict x = m.x + i * m.step;
    if (m.depth_step == 1)
      for (int64_t k = 0; k < depth; ++k) to[k] = x[k];
    else
      for (int64_t k = 0; k < depth; ++k) to[k] = x[k * m.depth_step];
    if (depth < padded) to[depth] = 0;
  }
}

template <class T>
void panels(const Matrix<T>& m, int16_t* __restrict to) {
  const int64_t pairs = (m.depth + 1) / 2;
  if (pairs == 0) return;
  for (int64_t first = 0; first < m.count; first += kPanel, to += pairs * kPanel * 2) {
    const int64_t columns = m.count - first < kPanel ? m.count - first : kPanel;
    const T* __restrict x = m.x + first * m.step;
    if (columns == kPanel && m.step == 1 && m.depth % 2 == 0) {
      for (int64_t pair = 0; pair < pairs; ++pair) {
        const T* __restrict even = x + 2 * pair * m.depth_step;
        const T* __restrict odd = even + m.depth_step;
        int16_t* __restrict y = to + pair * kPanel * 2;
        for (int64_t c = 0; c < kPanel; ++c) {
          y[2 * c] = even[c];
          y[2 * c + 1] = odd[c];
        }
      }
      continue;
    }
    for (int64_t c = 0; c < kPanel; ++c)
      for (int64_t pair = 0; pair < pairs; ++pair)
        for (int64_t half = 0; half < 2; ++half)
          to[(pair * kPanel + c) * 2 + half] =
              c < columns && half < halves(m, pair) ? x[c * m.step + (2 * pair + half) * m.depth_step] : int16_t{0};
  }
}

#ifdef __AVX512BW__

inline __m512i plus_products(__m512i sum, __m512i a, __m512i b) {
#ifdef __AVX512VNNI__
  return _mm512_dpwssd_epi32(sum, a, b);
#else
  return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
#endif
}

// As many rows as there are indices times a panel, of which `left` and `right` are the columns that exist. An index of
// an array that is no constant from the start would keep the sums in memory.
template <size_t... kRow>
void tile(std::index_sequence<kRow...>, const int16_t* a, const int16_t* b, int64_t pairs, __mmask16 left,
          __mmask16 right, int32_t* c, int64_t step) {
  __m512i first[] = {(static_cast<void>(kRow), _mm512_setzero_si512())...},
          second[] = {(static_cast<void>(kRow), _mm512_setzero_si512())...};
  for (int64_t k = 0; k < pairs; ++k) {
    const __m512i b0 = _mm512_loadu_si512(b + k * kPanel * 2), b1 = _mm512_loadu_si512(b + k * kPanel * 2 + kPanel);
    const auto add = [&](size_t row) {
      int32_t pair;
      __builtin_memcpy(&pair, a + (static_cast<int64_t>(row) * pairs + k) * 2, sizeof(pair));
      const __m512i both = _mm512_set1_epi32(pair);
      first[row] = plus_products(first[row], both, b0);
      second[row] = plus_products(second[row], both, b1);
    };
    (add(kRow), ...);
  }
  const auto store = [&](size_t row) {
    _mm512_mask_storeu_epi32(c + static_cast<int64_t>(row) * step, left, first[row]);
    _mm512_mask_storeu_epi32(c + static_cast<int64_t>(row) * step + 16, right, second[row]);
  };
  (store(kRow), ...);
}

#else

template <int kRows>
void tile(const int16_t* __restrict a, const int16_t* __restrict b, int64_t pairs, int64_t columns,
          int32_t* __restrict c, int64_t step) {
  uint32_t sums[kRows][kPanel] = {};
  for (int64_t k = 0; k < pairs; ++k)
    for (int r = 0; r < kRows; ++r) {
      const int32_t even = a[(r * pairs + k) * 2], odd = a[(r * pairs + k) * 2 + 1];
      const int16_t* __restrict column = b + k * kPanel * 2;
      for (int64_t i = 0; i < kPanel; ++i)
        sums[r][i] += static_cast<uint32_t>(even * column[2 * i]) + static_cast<uint32_t>(odd * column[2 * i + 1]);
    }
  for (int r = 0; r < kRows; ++r)
    for (int64_t i = 0; i < columns; ++i) c[r * step + i] = static_cast<int32_t>(sums[r][i]);
}

#endif

// All rows times a panel.
void panel_product(const int16_t* a, const int16_t* b, int64_t rows, int64_t columns, int64_t pairs, int32_t* c,
                   int64_t step) {
#ifdef __AVX512BW__
  const uint32_t lanes = columns == kPanel ? ~uint32_t{0} : (uint32_t{1} << columns) - 1;
  const auto some = [&]<int kRows>() {
    tile(std::make_index_sequence<kRows>(), a, b, pairs, static_cast<__mmask16>(lanes & 0xffff),
         static_cast<__mmask16>(lanes >> 16), c, step);
#else
  const auto some = [&]<int kRows>() {
    tile<kRows>(a, b, pairs, columns, c, step);
#endif
    a += kRows * pairs * 2;
    c += kRows * step;
    rows -= kRows;
  };
  while (rows >= 8) some.template operator()<8>();
  while (rows >= 4) some.template operator()<4>();
  while (rows > 0) some.template operator()<1>();
}

void product(const int16_t* a, const int16_t* b, int64_t rows, int64_t columns, int64_t pairs, int32_t* c) {
  for (int64_t first = 0; first < columns; first += kPanel, b += pairs * kPanel * 2)
    panel_product(a, b, rows, columns - first < kPanel ? columns - first : kPanel, pairs, c + first, columns);
}

}  // namespace

const MatrixKernels SINTER_KERNELS(matrix_kernels) = {
    {rows<int8_t>, panels<int8_t>}, {rows<int16_t>, panels<int16_t>}, product};

}  // namespace sinter::kernel
