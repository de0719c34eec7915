#pragma once
// Private: the loops of batch normalisation. Arrays of `count` rows of `period` floats; per-channel values are given
// as arrays of `period` too (channels repeated), so that a row fills vector registers whatever the number of channels.

#include <cstdint>

#include "isa.h"

namespace sinter::kernel {

/// Where an activation let the gradient through: g = dy where 0 < y < ceiling, else 0. All null: none, g = dy.
struct ActivationMask {
  const float* y = nullptr;                        // the output, or
  const float *scale = nullptr, *shift = nullptr;  // what made it of x, when nothing was added: saves reading it
  float ceiling = 0;
};

struct BatchNormKernels {
  /// acc[j] += sum of x[:, j]
  void (*sum)(const float* x, int64_t count, int64_t period, float* acc);
  /// acc[j] += sum of (x[:, j] - mean[j])^2
  void (*sum_squares)(const float* x, const float* mean, int64_t count, int64_t period, float* acc);
  /// y = x * scale + shift (+ skip), then min(max(., 0), ceiling) unless ceiling is 0; skip may be null
  void (*affine)(const float* x, const float* scale, const float* shift, const float* skip, float ceiling,
                 int64_t count, int64_t period, float* y);
  /// acc_g[j] += sum of g[:, j], acc_gx[j] += sum of g (x[:, j] - mean[j])
  void (*gradient_sums)(const float* dy, const ActivationMask& mask, const float* x, const float* mean, int64_t count,
                        int64_t period, float* acc_g, float* acc_gx);
  /// dx = g * scale + x * slope + offset; dskip = g where not null. dx or dskip may be dy.
  void (*gradient)(const float* dy, const ActivationMask& mask, const float* x, const float* scale, const float* slope,
                   const float* offset, int64_t count, int64_t period, float* dx, float* dskip);
};

SINTER_DECLARE_KERNELS(BatchNormKernels, batch_norm_kernels)

}  // namespace sinter::kernel
