#include "requantize.h"

namespace sinter::kernel {

namespace {

// |v| < 2^51: adding and taking away 1.5 * 2^52 rounds half to even.
inline double half_to_even(double v) { return (v + 0x1.8p52) - 0x1.8p52; }

// floor(v + 0.5) without a call: round to even, then take one off where that went above.
inline double half_up(double v) {
  const double shifted = v + 0.5;
  const double rounded = half_to_even(shifted);
  return rounded > shifted ? rounded - 1 : rounded;
}

template <bool kSkip, bool kHalfUp, bool kMask>
void rows(const RequantizeArguments& a, int64_t begin, int64_t end) {
  const int64_t channels = a.channels;
  const double low = a.low, high = a.high, mask_low = a.mask_low, mask_high = a.mask_high, below = a.below;
  const double above = a.relu ? 0 : -0x1p60;
  const double* __restrict bias = a.bias;
  const double* __restrict scale = a.scale;
  const double* __restrict skip_scale = a.skip_scale;
  for (int64_t row = begin; row < end; ++row) {
    const int32_t* __restrict acc = a.acc + row * channels;
    const int8_t* __restrict skip = kSkip ? a.skip + row * channels : nullptr;
    int8_t* __restrict y = a.y + row * channels;
    uint8_t* __restrict mask = kMask ? a.mask + row * channels : nullptr;
    for (int64_t c = 0; c < channels; ++c) {
      double v = (static_cast<double>(acc[c]) + bias[c]) * scale[c];
      if constexpr (kSkip) v += static_cast<double>(skip[c]) * skip_scale[c];
      if constexpr (kMask) {
        const double r = kHalfUp ? half_up(v) : half_to_even(v);
        mask[c] = static_cast<uint8_t>((v > above) & (v < below) & (r >= mask_low) & (r <= mask_high));
      }
      v = v < low ? low : v;
      v = v > high ? high : v;
      v = kHalfUp ? half_up(v) : half_to_even(v);
      y[c] = static_cast<int8_t>(static_cast<int32_t>(v));
    }
  }
}

template <bool kSkip, bool kHalfUp>
void run_as(const RequantizeArguments& a, int64_t begin, int64_t end) {
  (a.mask != nullptr ? rows<kSkip, kHalfUp, true> : rows<kSkip, kHalfUp, false>)(a, begin, end);
}

void run(const RequantizeArguments& a, int64_t begin, int64_t end) {
  if (a.skip != nullptr)
    (a.half_up ? run_as<true, true> : run_as<true, false>)(a, begin, end);
  else
    (a.half_up ? run_as<false, true> : run_as<false, false>)(a, begin, end);
}

}  // namespace

const RequantizeKernels SINTER_KERNELS(requantize_kernels) = {run};

}  // namespace sinter::kernel
