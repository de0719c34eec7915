#pragma once

#include "../layers/basic_block.h"
#include "../layers/bottleneck_block.h"
#include "../layers/linear.h"
#include "../layers/max_pool2d.h"
#include "../layers/sequential.h"

namespace sinter::nn {

struct CifarResNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 10;
  int64_t channels = 16;  ///< of the first stage: the paper's width
};

/// The residual networks of He et al. (1512.03385, section 4.2) for images of about 32x32: a 3x3 convolution, three
/// stages of `blocks` blocks with 16, 32 and 64 channels, mean over the image, linear head. 6 * blocks + 2 layers.
struct CifarResNet : Module {
  Conv2d stem;
  BatchNorm2d bn;
  std::vector<BasicBlock> body;
  Linear head;
  SINTER_CHILDREN(stem, bn, body, head)

  CifarResNet(int64_t blocks, const CifarResNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

CifarResNet resnet20(const CifarResNetOptions& options = {});
CifarResNet resnet32(const CifarResNetOptions& options = {});
CifarResNet resnet56(const CifarResNetOptions& options = {});

struct ResNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
};

enum class ResNetBlock { basic, bottleneck };

/// The residual networks of the same paper for images of 224x224: a 7x7 convolution and max pooling, four stages of
/// basic blocks with 64, 128, 256 and 512 channels, or of bottlenecks with four times as many, mean over the image,
/// linear head.
struct ResNet : Module {
  Conv2d stem;
  BatchNorm2d bn;
  MaxPool2d pool;
  Sequential body;
  Linear head;
  SINTER_CHILDREN(stem, bn, pool, body, head)

  /// `blocks` of each stage.
  ResNet(ResNetBlock block, const std::array<int64_t, 4>& blocks, const ResNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

ResNet resnet18(const ResNetOptions& options = {});
ResNet resnet50(const ResNetOptions& options = {});

}  // namespace sinter::nn
