#pragma once
// Private: loops over floats that the compiler vectorises best when it knows the instruction set.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// y = x / scale as integers within low..high; `bits`, where not null, says which values round to that range by
/// themselves. NaN counts as 0.
struct QuantizeArguments {
  const float* x = nullptr;
  float inverse_scale = 1;
  float low = 0, high = 0;  // integers, within +-2^20
  bool half_up = false;     // floor(v + 0.5), or half to even
  int8_t* y = nullptr;
  uint8_t* bits = nullptr;
};

struct ElementwiseKernels {
  /// low and high become the least and the largest of themselves and x, NaN left out; returns whether x holds a NaN or
  /// an infinity.
  bool (*range)(const float* x, int64_t count, float* low, float* high);
  /// y = x where its bit is set, else 0; y may be x. Each row's bits start at a byte.
  void (*masked)(const uint8_t* bits, const float* x, int64_t rows, int64_t row, float* y);
  /// y = x as float32
  void (*widen)(const int8_t* x, int64_t count, float* y);
  void (*quantize)(const QuantizeArguments& a, int64_t count);
  /// bin = the integer part of |x| inverse_width, in double, at most bins - 1; `bins` for NaN.
  void (*bins)(const float* x, int64_t count, double inverse_width, int32_t bins, int32_t* bin);
  /// The sum of (v - q)^2, where v is x / scale and q the integer within low..high nearest to it. `count` is
  /// some thousands: sums are in float.
  double (*squared_error)(const float* x, int64_t count, float inverse_scale, float low, float high);
  /// The sum of |x|.
  int64_t (*sum_abs)(const int8_t* x, int64_t count);
};

SINTER_DECLARE_KERNELS(ElementwiseKernels, elementwise_kernels)

}  // namespace sinter::kernel
