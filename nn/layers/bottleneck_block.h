#pragma once

#include "basic_block.h"

namespace sinter::nn {

/// A 1x1 convolution to a quarter of the channels, a 3x3 convolution with the stride, a 1x1 convolution to all, and the
/// shortcut around them (He et al., 1512.03385, figure 5). The paper has the stride in the first; as torchvision does,
/// it is where no pixel goes unread.
struct BottleneckBlock : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;
  Shortcut shortcut;
  SINTER_CHILDREN(conv1, bn1, conv2, bn2, conv3, bn3, shortcut)

  /// Throws Error unless 4 divides the output channels.
  BottleneckBlock(ResidualOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
