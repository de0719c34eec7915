#pragma once

#include "../../core/called.h"
#include "../../core/ops/conv_transpose2d.h"
#include "../../core/required.h"
#include "../module.h"

namespace sinter::nn {

struct ConvTranspose2dOptions {
  Required<int64_t> in;  ///< channels, as is the next
  ItIsCalledIn in_channels{};
  Required<int64_t> out;
  ItIsCalledOut out_channels{};
  Required<Pair> kernel;  ///< one number, or {height, width}; so are the next four
  ItIsCalledKernel kernel_size{};
  Pair stride{1};
  Pair padding{0};         ///< so much is cut off both sides of the result
  Pair output_padding{0};  ///< so much is added at its bottom and right; less than the stride
  Pair dilation{1};
  int64_t groups = 1;
  bool bias = true;
};

/// Transposed convolution of [N,H,W,in] to [N,OH,OW,out]; see ops::ConvTranspose2d. Parameters start as Conv2d's do.
class ConvTranspose2d : public Module {
 public:
  /// Throws Error for sizes below 1, groups that do not divide the channels, and an output padding that is not less
  /// than the stride.
  ConvTranspose2d(ConvTranspose2dOptions options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight, bias)

  ConvTransposeAttributes attributes;
  Parameter weight;  ///< [out,kernel height,kernel width,in/groups]
  Parameter bias;    ///< [out], or undefined
};

}  // namespace sinter::nn
