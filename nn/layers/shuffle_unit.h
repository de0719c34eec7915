#pragma once

#include <optional>

#include "batch_norm2d.h"
#include "channel_shuffle.h"
#include "conv2d.h"

namespace sinter::nn {

struct ShuffleUnitOptions {
  Required<int64_t> in, out;  ///< channels
  int64_t stride = 1;
};

/// The unit of ShuffleNetV2 (Ma et al., 1807.11164, figure 3): half of the channels stay as they are, the others pass a
/// 1x1, a depthwise 3x3 and a 1x1 convolution, and the halves are shuffled. Where the shape changes, both halves are
/// made of all channels, the first by a depthwise 3x3 and a 1x1 convolution.
struct ShuffleUnit : Module {
  std::optional<Conv2d> shortcut_depthwise;
  std::optional<BatchNorm2d> shortcut_depthwise_bn;
  std::optional<Conv2d> shortcut;
  std::optional<BatchNorm2d> shortcut_bn;
  Conv2d first;
  BatchNorm2d first_bn;
  Conv2d depthwise;
  BatchNorm2d depthwise_bn;
  Conv2d last;
  BatchNorm2d last_bn;
  ChannelShuffle shuffle{2};
  SINTER_CHILDREN(shortcut_depthwise, shortcut_depthwise_bn, shortcut, shortcut_bn, first, first_bn, depthwise,
                  depthwise_bn, last, last_bn, shuffle)

  /// Throws Error for an odd number of output channels, and what Conv2d refuses.
  ShuffleUnit(ShuffleUnitOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
