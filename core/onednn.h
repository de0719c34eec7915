#pragma once
// Private: the one file of glue to oneDNN. Everything is NHWC and OHWI; primitives and reordered weights are cached.

#include <cstdint>

#include "tensor.h"

namespace sinter::onednn {

/// A two-dimensional convolution, oneDNN's or ours. Padding is the same on both sides of an axis.
struct Convolution {
  int64_t batch = 1, height = 1, width = 1, in = 1, out = 1, groups = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int64_t padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1;
  int64_t out_height = 1, out_width = 1;
};

/// y = conv(x, weight) + bias; bias may be undefined. `keep`: the weight's storage will come again (a parameter), its
/// reordered form is kept until its values change.
void convolution_forward(const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                         bool keep = true);
void convolution_backward_data(const Convolution& c, const Tensor& dy, const Tensor& weight, Tensor& dx,
                               bool keep = true);
/// dbias may be undefined.
void convolution_backward_weights(const Convolution& c, const Tensor& x, const Tensor& dy, Tensor& dweight,
                                  Tensor& dbias);

/// acc = conv(x, weight) in int32 by one call of oneDNN's int8 kernels: x int8, or uint8; weight int8. Exact only
/// within the bounds of SPEC.md, "Exact accumulators", and only with `has_vnni()`; callers split.
void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc);

/// c = a b (+ c, with `accumulate`): float32 matrices, row-major and dense, c [rows,columns], a [rows,depth] or,
/// transposed, [depth,rows], b [depth,columns] or [columns,depth]. Without AVX-512, oneDNN cuts long sums by the number
/// of threads: the last bits depend on it.
struct Gemm {
  int64_t rows = 0, columns = 0, depth = 0;
  bool transpose_a = false, transpose_b = false, accumulate = false;
};
void gemm(const Gemm& g, const float* a, const float* b, float* c);

/// What kernels of our own may use; follows oneDNN's choice, so that ONEDNN_MAX_CPU_ISA switches both.
enum class Isa { baseline, avx2, avx512 };
Isa isa();
/// Whether oneDNN's int8 kernels accumulate u8 x s8 exactly in 32 bits.
bool has_vnni();

/// Primitives made since the start of the process; a training step makes none after the first.
int64_t primitives_created();

}  // namespace sinter::onednn
