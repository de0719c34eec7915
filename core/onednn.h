#pragma once
// Private: the one file of glue to oneDNN. Everything is NHWC and OHWI; primitives and reordered weights are cached.

#include <cstdint>
#include <memory>

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

/// A convolution (float32) or one of its gradients, some images at a time and each call by the calling thread alone, so
/// that several threads work at once on images that stay in their caches. How the batch is cut depends on the geometry
/// alone, and so do the results. Calls are safe from any number of threads. 3x3 convolutions of many channels run as
/// Winograd's, whose results are not exact for integers, as those of `convolution_forward` are.
class ConvolutionSlices {
 public:
  enum class Kind { forward, backward_data, backward_weights };
  struct Options {
    bool bias = false;  ///< of backward_weights; the others have none
    bool keep = true;   ///< as above
  };
  /// `weight` only gives its shape to backward_weights.
  ConvolutionSlices(Kind kind, const Convolution& c, const Tensor& weight, const Options& options);
  ~ConvolutionSlices();

  int64_t count() const;
  /// The images of a slice.
  int64_t first(int64_t slice) const;
  int64_t images(int64_t slice) const;

  /// One slice; the addresses are those of its first image, where not `dweight` and `dbias`.
  void forward(int64_t slice, const float* x, float* y) const;
  void backward_data(int64_t slice, const float* dy, float* dx) const;
  /// Keeps the slice's share of the gradient of the weights; `finish` adds them up, in order.
  void backward_weights(int64_t slice, const float* x, const float* dy);
  void finish(Tensor& dweight, Tensor& dbias) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
/// All slices of a forward pass without a bias.
void convolution_forward_sliced(const Convolution& c, const Tensor& x, const Tensor& weight, Tensor& y);
/// Images of a slice: a power of two.
int64_t slice_images(const Convolution& c);

/// acc = conv(x, weight) in int32 by one call of oneDNN's int8 kernels: x int8, or uint8; weight int8. Exact only
/// within the bounds of SPEC.md, "Exact accumulators", and only with `has_vnni()`; callers split.
void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc);

/// c = a b (+ c, with `accumulate`): float32 matrices, row-major and dense, c [rows,columns], a [rows,depth] or,
/// transposed, [depth,rows], b [depth,columns] or [columns,depth].
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
