#pragma once

#include <optional>

#include "batch_norm2d.h"
#include "conv2d.h"

namespace sinter::nn {

struct PreActBlockOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
  bool activated = false;  ///< its input is normalised and activated already, as the first block's behind a stem
};

/// A residual block with normalisation and ReLU before its convolutions (He et al., 1603.05027, figure 4e): two 3x3
/// convolutions, the first of which has the stride. The way around them is the input itself, or, where the shape
/// changes, a 1x1 convolution of the activated input.
struct PreActBlock : Module {
  std::optional<BatchNorm2d> bn1;
  Conv2d conv1;
  BatchNorm2d bn2;
  Conv2d conv2;
  std::optional<Conv2d> shortcut;
  SINTER_CHILDREN(bn1, conv1, bn2, conv2, shortcut)

  PreActBlock(PreActBlockOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
