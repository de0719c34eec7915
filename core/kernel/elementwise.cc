#include "elementwise.h"

namespace sinter::kernel {

namespace {

// Several lanes: one chain of comparisons would be as slow as its latency.
constexpr int kLanes = 64;

bool range(const float* x, int64_t count, float* low, float* high) {
  float lows[kLanes], highs[kLanes], sums[kLanes];
  for (int j = 0; j < kLanes; ++j) {
    lows[j] = *low;
    highs[j] = *high;
    sums[j] = 0;
  }
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int j = 0; j < kLanes; ++j) {
      const float v = x[i + j];
      lows[j] = v < lows[j] ? v : lows[j];
      highs[j] = v > highs[j] ? v : highs[j];
      sums[j] += v * 0.0f;  // NaN for a NaN and an infinity
    }
  for (; i < count; ++i) {
    lows[0] = x[i] < lows[0] ? x[i] : lows[0];
    highs[0] = x[i] > highs[0] ? x[i] : highs[0];
    sums[0] += x[i] * 0.0f;
  }
  float total = 0;
  for (int j = 0; j < kLanes; ++j) {
    *low = lows[j] < *low ? lows[j] : *low;
    *high = highs[j] > *high ? highs[j] : *high;
    total += sums[j];
  }
  return total != 0.0f;  // true for NaN
}

void masked(const uint8_t* mask, const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = mask[i] != 0 ? x[i] : 0.0f;
}

void widen(const int8_t* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i];
}

}  // namespace

const ElementwiseKernels SINTER_KERNELS(elementwise_kernels) = {range, masked, widen};

}  // namespace sinter::kernel
