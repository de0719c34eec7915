#pragma once
// Private: convolutions, by oneDNN. Everything is NHWC and OHWI; primitives and reordered weights are cached.

#include <compare>
#include <cstdint>

#include "tensor.h"

namespace sinter::onednn {

/// A two-dimensional convolution, oneDNN's or ours. Padding is the same on both sides of an axis.
struct Convolution {
  int64_t batch = 1, height = 1, width = 1, in = 1, out = 1, groups = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1;
  int64_t padding_h = 0, padding_w = 0, dilation_h = 1, dilation_w = 1;
  int64_t out_height = 1, out_width = 1;
  bool transposed_weight = false;  ///< float32 only: weights come as [in,KH,KW,out/groups], not [out,KH,KW,in/groups]
  /// Elements of an image, in and out.
  int64_t image() const { return height * width * in; }
  int64_t out_image() const { return out_height * out_width * out; }
  auto operator<=>(const Convolution&) const = default;
};

/// What is computed: float32, but for int8_forward and uint8_forward, whose images are of that type.
enum class Kind { forward, backward_data, backward_weights, int8_forward, uint8_forward };

/// y = conv(x, weight) + bias; bias may be undefined. `keep`: the weight's storage will come again (a parameter), its
/// reordered form is kept until its values change.
void convolution_forward(const Convolution& c, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y,
                         bool keep = true);
/// As `convolution_forward` without a bias: faster, and not exact for integers (convolution_slices.h).
void convolution_forward_fast(const Convolution& c, const Tensor& x, const Tensor& weight, Tensor& y, bool keep = true);
void convolution_backward_data(const Convolution& c, const Tensor& dy, const Tensor& weight, Tensor& dx,
                               bool keep = true);
/// dbias may be undefined.
void convolution_backward_weights(const Convolution& c, const Tensor& x, const Tensor& dy, Tensor& dweight,
                                  Tensor& dbias);

/// acc = conv(x, weight) in int32 by one call of oneDNN's int8 kernels: x int8, or uint8; weight int8. Exact only
/// within the bounds of SPEC.md, "Exact accumulators", and only with `has_vnni()`; callers split.
void convolution_int8(const Convolution& c, const Tensor& x, const Tensor& weight, bool keep, Tensor& acc);

/// Primitives made since the start of the process; a training step makes none after the first.
int64_t primitives_created();

/// Bytes of primitives (at most) and of reordered weights. What was used longest ago goes first; the newest stays.
struct CacheBytes {
  int64_t primitives = 0, weights = 0;
};
CacheBytes cached();
/// Returns the limits before: at the start 256 MiB and 1 GiB.
CacheBytes limit_cache(const CacheBytes& most);

}  // namespace sinter::onednn
