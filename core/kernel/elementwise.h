#pragma once
// Private: loops over floats that the compiler vectorises best when it knows the instruction set.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

struct ElementwiseKernels {
  /// low and high become the least and the largest of themselves and x, NaN left out; returns whether x holds a NaN or
  /// an infinity.
  bool (*range)(const float* x, int64_t count, float* low, float* high);
  /// y = mask != 0 ? x : 0; y may be x.
  void (*masked)(const uint8_t* mask, const float* x, int64_t count, float* y);
  /// y = x as float32
  void (*widen)(const int8_t* x, int64_t count, float* y);
};

SINTER_DECLARE_KERNELS(ElementwiseKernels, elementwise_kernels)

}  // namespace sinter::kernel
