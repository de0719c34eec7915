#pragma once

#include "../layers/linear.h"
#include "../layers/max_pool2d.h"
#include "../layers/shuffle_unit.h"

namespace sinter::nn {

struct ShuffleNetV2Options {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  /// Of the three stages, each even, and before the head: by default those of the paper's width 1. Of 0.5, they are 48,
  /// 96, 192 and 1024; of 1.5 176, 352, 704 and 1024; of 2 244, 488, 976 and 2048.
  std::array<int64_t, 4> channels{116, 232, 464, 1024};
};

/// ShuffleNetV2 (Ma et al., 1807.11164, table 5): a 3x3 convolution with 24 channels, max pooling, sixteen shuffle
/// units, a 1x1 convolution, mean over the image, linear head.
struct ShuffleNetV2 : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::optional<MaxPool2d> pool;
  std::vector<ShuffleUnit> body;
  Conv2d last;
  BatchNorm2d last_bn;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, pool, body, last, last_bn, head)

  /// `strides` of the stem, of max pooling, where 1 leaves it out, and of the three stages.
  ShuffleNetV2(const std::array<int64_t, 5>& strides, const ShuffleNetV2Options& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224: the paper's strides.
ShuffleNetV2 shufflenet_v2(const ShuffleNetV2Options& options = {});
/// For images of about 32x32: the stem keeps their size, and there is no max pooling.
ShuffleNetV2 cifar_shufflenet_v2(const ShuffleNetV2Options& options = {.classes = 10});

}  // namespace sinter::nn
