#pragma once

#include <optional>

#include "batch_norm2d.h"
#include "conv2d.h"

namespace sinter::nn {

struct InvertedResidualOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
  int64_t expansion = 6;  ///< channels between the two ends, in units of `in`
};

/// A 1x1 convolution that widens (none with expansion 1), a depthwise 3x3 convolution with the stride, a 1x1
/// convolution that narrows and has no activation, and, where the shape stays the same, the input added (Sandler et
/// al., 1801.04381). ReLU6 after the first two.
struct InvertedResidual : Module {
  std::optional<Conv2d> expand;
  std::optional<BatchNorm2d> expand_bn;
  Conv2d depthwise;
  BatchNorm2d depthwise_bn;
  Conv2d project;
  BatchNorm2d project_bn;
  SINTER_CHILDREN(expand, expand_bn, depthwise, depthwise_bn, project, project_bn)

  InvertedResidual(InvertedResidualOptions options);
  Tensor forward(const Tensor& x) const override;

 private:
  bool adds_;
};

}  // namespace sinter::nn
