#pragma once

#include "../layers/linear.h"
#include "../layers/max_pool2d.h"
#include "../layers/preact_block.h"

namespace sinter::nn {

struct PreActResNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  int64_t channels = 64;  ///< of the first stage: the paper's width
};

enum class PreActStem {
  imagenet,  ///< a 7x7 convolution with stride 2 and max pooling
  cifar,     ///< a 3x3 convolution
};

/// The residual networks with pre-activation (He et al., 1603.05027; ResNet v2): a convolution, four stages of blocks,
/// from each to the next twice as many channels and half the image, batch normalisation and ReLU, mean over the image,
/// linear head. As in the paper's appendix, what follows the first convolution is activated before the first block
/// splits.
struct PreActResNet : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::optional<MaxPool2d> pool;
  std::vector<PreActBlock> body;
  BatchNorm2d bn;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, pool, body, bn, head)

  /// `blocks` of each stage.
  PreActResNet(PreActStem stem, const std::array<int64_t, 4>& blocks, const PreActResNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224.
PreActResNet preact_resnet18(const PreActResNetOptions& options = {});
/// For images of about 32x32.
PreActResNet cifar_preact_resnet18(const PreActResNetOptions& options = {.classes = 10});

}  // namespace sinter::nn
