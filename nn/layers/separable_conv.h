#pragma once

#include "batch_norm2d.h"
#include "conv2d.h"

namespace sinter::nn {

struct SeparableConvOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
};

/// A depthwise 3x3 convolution with the stride and a 1x1 convolution, each with batch normalisation and ReLU (Howard et
/// al., 1704.04861, figure 3).
struct SeparableConv : Module {
  Conv2d depthwise;
  BatchNorm2d depthwise_bn;
  Conv2d pointwise;
  BatchNorm2d pointwise_bn;
  SINTER_CHILDREN(depthwise, depthwise_bn, pointwise, pointwise_bn)

  SeparableConv(SeparableConvOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
