#pragma once
// Private: from accumulators to outputs, to the masks of straight-through gradients and to real values: rows of
// [rows, channels], with numbers per channel.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// Integers of 8 or, `wide`, of 16 bits.
struct Narrow {
  const void* data = nullptr;
  bool wide = false;
};
struct NarrowOut {
  void* data = nullptr;
  bool wide = false;
};

/// y = sat(round((acc + bias) scale + skip skip_scale)), half to even, in doubles that hold every value exactly:
/// scales are m / 2^n, |(acc + bias) m| < 2^46, with a residual 2^47.
struct DoubleRescale {
  const int32_t* acc = nullptr;
  Narrow skip;                    // or null
  const int32_t* bias = nullptr;  // acc + bias fits 32 bits
  const double *scale = nullptr, *skip_scale = nullptr;
  int64_t channels = 0;
  bool uniform = false;  // every channel has the first one's numbers
  double low = 0, high = 0;
  NarrowOut y;
};

/// a = (acc + bias) first + skip second, then, staged, y = sat((sat16(a >> pre) m + half) >> post), else
/// y = sat(a >> post), which rounds half up, or truncates. In 32-bit lanes, which nothing overflows.
struct IntegerRescale {
  const int32_t* acc = nullptr;
  Narrow skip;  // or null
  const int32_t* bias = nullptr;
  const int32_t* first = nullptr;  // or null: 1
  const int32_t *second = nullptr, *pre = nullptr, *m = nullptr, *half = nullptr, *post = nullptr;
  bool staged = false, rounds = true;  // `rounds`: where not staged
  int64_t channels = 0;
  bool uniform = false;  // every channel has the first one's numbers
  int32_t low = 0, high = 0;
  NarrowOut y;
};

/// Bits, each row starting at a byte, set where the real value (acc + bias) unit + skip skip_unit, computed in this
/// order, is between `above` and `below`.
struct MaskArguments {
  const int32_t* acc = nullptr;
  Narrow skip;  // or null
  const int32_t* bias = nullptr;
  const double* unit = nullptr;
  double skip_unit = 0;
  int64_t channels = 0;
  double above = 0, below = 0;
  uint8_t* mask = nullptr;
};

/// Those real values, limited to low..high.
struct RealArguments {
  const int32_t* acc = nullptr;
  const int8_t* skip = nullptr;  // or null
  const double* bias = nullptr;  // integers
  const double* unit = nullptr;
  double skip_unit = 0;
  int64_t channels = 0;
  float low = 0, high = 0;
};

struct RequantizeKernels {
  /// The first `count` rows.
  void (*doubles)(const DoubleRescale& a, int64_t count);
  void (*integers)(const IntegerRescale& a, int64_t count);
  void (*mask)(const MaskArguments& a, int64_t count);
  /// Values begin..end-1, which may start inside a row.
  void (*real)(const RealArguments& a, int64_t begin, int64_t end, float* out);
};

SINTER_DECLARE_KERNELS(RequantizeKernels, requantize_kernels)

}  // namespace sinter::kernel
