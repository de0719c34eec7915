#pragma once

#include "../../core/called.h"
#include "../../core/ops/conv2d.h"
#include "../../core/required.h"
#include "../module.h"

namespace sinter::nn {

struct Conv2dOptions {
  Required<int64_t> in;  ///< channels, as is the next
  ItIsCalledIn in_channels{};
  Required<int64_t> out;
  ItIsCalledOut out_channels{};
  Required<Pair> kernel;  ///< one number, or {height, width}; so are the next three
  ItIsCalledKernel kernel_size{};
  Pair stride{1};
  Pair padding{0};  ///< zeros on both sides
  Pair dilation{1};
  int64_t groups = 1;
  bool bias = true;
};

/// Convolution of [N,H,W,in] to [N,OH,OW,out]; see ops::Conv2d. Weights start Kaiming normal (fan out, for a ReLU
/// behind), as torchvision's networks do, and biases at 0.
class Conv2d : public Module {
 public:
  /// Throws Error for sizes below 1 and groups that do not divide the channels.
  Conv2d(Conv2dOptions options);

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN(weight, bias)

  ConvAttributes attributes;
  Parameter weight;  ///< [out,kernel height,kernel width,in/groups]
  Parameter bias;    ///< [out], or undefined
};

}  // namespace sinter::nn
