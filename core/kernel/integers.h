#pragma once
// Private: loops over integers of 8 and 16 bits.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// How a shift to the right rounds.
enum class ShiftTo { even, half_up, down };

/// Of T, int8_t or int16_t.
template <class T>
struct IntegersOf {
  /// y[o][c] = the larger, or smaller, of itself and x[o step + c].
  void (*largest)(const T* x, int64_t step, int64_t channels, int64_t outputs, T* y);
  void (*least)(const T* x, int64_t step, int64_t channels, int64_t outputs, T* y);
  /// y += x
  void (*accumulate)(const T* x, int64_t count, int32_t* y);
  /// y = x scale
  void (*real)(const T* x, float scale, int64_t count, float* y);
  /// y += x weight
  void (*accumulate_products)(const T* x, const int8_t* weight, int64_t count, int32_t* y);
  /// y = x; y = a b; y = x above 0 and below = x below 0, else 0
  void (*widen)(const T* x, int64_t count, int32_t* y);
  void (*product)(const T* a, const T* b, int64_t count, int32_t* y);
  void (*split)(const T* x, int64_t count, int32_t* y, T* below);
  /// y = x within low..high
  void (*clamp)(const T* x, int64_t count, T low, T high, T* y);
  /// y[o][c] = x[low[o]][c] left[o] + x[high[o]][c] right[o], both [..][channels], within 32 bits.
  void (*blend_columns)(const T* x, const int64_t* low, const int64_t* high, const int32_t* left, const int32_t* right,
                        int64_t channels, int64_t outputs, int32_t* y);
  /// y = (a (2^bits - down) + b down) / 2^(2 bits), rounded once, of sums by `blend_columns` whose weights add up to
  /// 2^bits; 1 <= bits <= 16, 0 <= down <= 2^bits.
  void (*blend_rows)(const int32_t* a, const int32_t* b, int32_t down, int bits, ShiftTo to, int64_t count, T* y);
  /// y[i] = x[i step]
  void (*gather)(const T* x, int64_t step, int64_t count, T* y);
};

struct IntegerKernels {
  IntegersOf<int8_t> bytes;
  IntegersOf<int16_t> words;
  /// y[o][c] += x[o step + c]
  void (*sums)(const int32_t* x, int64_t step, int64_t channels, int64_t outputs, int32_t* y);
  /// y = table[x + 128] of 256 entries; y = table[x + 32768] of 65536.
  void (*look_up)(const int8_t* table, const int8_t* x, int64_t count, int8_t* y);
  void (*look_up_words)(const int16_t* table, const int16_t* x, int64_t count, int16_t* y);
};

SINTER_DECLARE_KERNELS(IntegerKernels, integer_kernels)

inline const IntegersOf<int8_t>& integers_of(const int8_t*) { return integer_kernels().bytes; }
inline const IntegersOf<int16_t>& integers_of(const int16_t*) { return integer_kernels().words; }

}  // namespace sinter::kernel
