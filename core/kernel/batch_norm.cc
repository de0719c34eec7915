#include "batch_norm.h"

namespace sinter::kernel {

namespace {

void sum(const float* x, int64_t count, int64_t period, float* __restrict acc) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < period; ++j) acc[j] += x[i * period + j];
}

void sum_squares(const float* x, const float* mean, int64_t count, int64_t period, float* __restrict acc) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < period; ++j) {
      const float d = x[i * period + j] - mean[j];
      acc[j] += d * d;
    }
}

template <bool kSkip, bool kActivation>
void affine_as(const float* x, const float* __restrict scale, const float* __restrict shift, const float* skip,
               float ceiling, int64_t count, int64_t period, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < period; ++j) {
      float v = x[i * period + j] * scale[j] + shift[j];
      if constexpr (kSkip) v += skip[i * period + j];
      if constexpr (kActivation) {
        v = v < 0 ? 0 : v;
        v = v > ceiling ? ceiling : v;
      }
      y[i * period + j] = v;
    }
}

void affine(const float* x, const float* scale, const float* shift, const float* skip, float ceiling, int64_t count,
            int64_t period, float* y) {
  if (skip != nullptr)
    (ceiling > 0 ? affine_as<true, true> : affine_as<true, false>)(x, scale, shift, skip, ceiling, count, period, y);
  else
    (ceiling > 0 ? affine_as<false, true> : affine_as<false, false>)(x, scale, shift, skip, ceiling, count, period, y);
}

enum class Mask { none, output, affine };

template <Mask kMask>
float masked(const ActivationMask& mask, float dy, float x, int64_t at, int64_t j) {
  if constexpr (kMask == Mask::none) return dy;
  const float y = kMask == Mask::output ? mask.y[at] : x * mask.scale[j] + mask.shift[j];
  const bool inside = (y > 0) & (y < mask.ceiling);
  return inside ? dy : 0;
}

template <Mask kMask>
void gradient_sums_as(const float* dy, const ActivationMask& m, const float* x, const float* mean, int64_t count,
                      int64_t period, float* __restrict acc_g, float* __restrict acc_gx) {
  const ActivationMask mask = m;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < period; ++j) {
      const int64_t at = i * period + j;
      const float g = masked<kMask>(mask, dy[at], x[at], at, j);
      acc_g[j] += g;
      acc_gx[j] += g * (x[at] - mean[j]);
    }
}

void gradient_sums(const float* dy, const ActivationMask& mask, const float* x, const float* mean, int64_t count,
                   int64_t period, float* acc_g, float* acc_gx) {
  const auto f = mask.y != nullptr       ? gradient_sums_as<Mask::output>
                 : mask.scale != nullptr ? gradient_sums_as<Mask::affine>
                                         : gradient_sums_as<Mask::none>;
  f(dy, mask, x, mean, count, period, acc_g, acc_gx);
}

// Each element is read before it is written and depends on no other: dx or dskip may be dy.
template <Mask kMask, bool kSkip>
void gradient_as(const float* dy, const ActivationMask& m, const float* x, const float* scale, const float* slope,
                 const float* offset, int64_t count, int64_t period, float* dx, float* dskip) {
  const ActivationMask mask = m;
  for (int64_t i = 0; i < count; ++i) {
#ifndef __clang__  // which has no such pragma, and checks at run time
#pragma GCC ivdep
#endif
    for (int64_t j = 0; j < period; ++j) {
      const int64_t at = i * period + j;
      const float g = masked<kMask>(mask, dy[at], x[at], at, j);
      if constexpr (kSkip) dskip[at] = g;
      dx[at] = g * scale[j] + (x[at] * slope[j] + offset[j]);
    }
  }
}

template <Mask kMask>
void gradient_of(const float* dy, const ActivationMask& mask, const float* x, const float* scale, const float* slope,
                 const float* offset, int64_t count, int64_t period, float* dx, float* dskip) {
  (dskip != nullptr ? gradient_as<kMask, true> : gradient_as<kMask, false>)(dy, mask, x, scale, slope, offset, count,
                                                                            period, dx, dskip);
}

void gradient(const float* dy, const ActivationMask& mask, const float* x, const float* scale, const float* slope,
              const float* offset, int64_t count, int64_t period, float* dx, float* dskip) {
  const auto f = mask.y != nullptr       ? gradient_of<Mask::output>
                 : mask.scale != nullptr ? gradient_of<Mask::affine>
                                         : gradient_of<Mask::none>;
  f(dy, mask, x, scale, slope, offset, count, period, dx, dskip);
}

}  // namespace

const BatchNormKernels SINTER_KERNELS(batch_norm_kernels) = {sum, sum_squares, affine, gradient_sums, gradient};

}  // namespace sinter::kernel
