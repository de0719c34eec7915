#pragma once
// Private: the requantisation loop. Doubles hold every value exactly: |acc m| < 2^46, with a residual 2^47.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

struct RequantizeArguments {
  const int32_t* acc = nullptr;
  const int8_t* skip = nullptr;        // or null
  const int32_t* bias = nullptr;       // per channel; acc + bias fits 32 bits
  const double* scale = nullptr;       // m / 2^n
  const double* skip_scale = nullptr;  // ms / 2^n
  int64_t channels = 0;
  double low = 0, high = 0;
  bool half_up = false;
  int8_t* y = nullptr;
  uint8_t* mask = nullptr;  // or null: bits, each row starting at a byte, set where the real value is between these
  double above = 0, below = 0;
  const double* unit = nullptr;  // per channel: the real value is (acc + bias) unit + skip skip_unit, in this order
  double skip_unit = 0;
};

/// Rescaling in 32-bit lanes, by numbers per channel: a = (acc + bias) first + skip second, then, staged,
/// y = sat((sat16(a >> pre) m) >> post), else y = sat(a >> post); the last shift rounds half up, or truncates. Nothing
/// overflows 32 bits.
struct IntegerRescale {
  const int32_t* acc = nullptr;
  const int8_t* skip = nullptr;  // or null
  const int32_t* bias = nullptr;
  const int32_t* first = nullptr;  // or null: 1
  const int32_t *second = nullptr, *pre = nullptr, *m = nullptr, *post = nullptr;
  bool staged = false, rounds = true;
  int64_t channels = 0;
  int32_t low = 0, high = 0;
  int8_t* y = nullptr;
};

/// The real values of accumulators: (acc + bias) unit + skip skip_unit, limited to low..high.
struct RealArguments {
  const int32_t* acc = nullptr;
  const int8_t* skip = nullptr;  // or null
  const double* bias = nullptr;  // per channel, integers
  const double* unit = nullptr;  // per channel
  double skip_unit = 0;
  int64_t channels = 0;
  float low = 0, high = 0;
};

struct RequantizeKernels {
  /// Rows begin..end-1 of [rows, channels].
  void (*run)(const RequantizeArguments& a, int64_t begin, int64_t end);
  /// The first `count` rows of [rows, channels].
  void (*integers)(const IntegerRescale& a, int64_t count);
  /// Values begin..end-1, which may start inside a row.
  void (*real)(const RealArguments& a, int64_t begin, int64_t end, float* out);
};

SINTER_DECLARE_KERNELS(RequantizeKernels, requantize_kernels)

}  // namespace sinter::kernel
