#pragma once

#include "../layers/dropout.h"
#include "../layers/inverted_residual.h"
#include "../layers/linear.h"
#include "../layers/separable_conv.h"

namespace sinter::nn {

struct MobileNetV1Options {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  double width = 1;  ///< of every layer; channels are rounded to multiples of 8
};

/// MobileNetV1 (Howard et al., 1704.04861, table 1): a 3x3 convolution, thirteen separable convolutions, mean over the
/// image, linear head.
struct MobileNetV1 : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::vector<SeparableConv> body;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, body, head)

  /// `strides` of the stem and of the stages with 64, 128, 256, 512 and 1024 channels.
  MobileNetV1(const std::array<int64_t, 6>& strides, const MobileNetV1Options& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224: the paper's strides.
MobileNetV1 mobilenet_v1(const MobileNetV1Options& options = {});
/// For images of about 32x32: the stem and the first stage that would halve the image keep its size.
MobileNetV1 cifar_mobilenet_v1(const MobileNetV1Options& options = {.classes = 10});

struct MobileNetV2Options {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  double width = 1;  ///< of every layer; channels are rounded to multiples of 8, those before the head not narrowed
};

/// MobileNetV2 (Sandler et al., 1801.04381, table 2): a 3x3 convolution, seventeen inverted residuals, a 1x1
/// convolution, mean over the image, linear head.
struct MobileNetV2 : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::vector<InvertedResidual> body;
  Conv2d last;
  BatchNorm2d last_bn;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, body, last, last_bn, head)

  /// `strides` of the stem and of the seven stages.
  MobileNetV2(const std::array<int64_t, 8>& strides, const MobileNetV2Options& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224: the paper's strides.
MobileNetV2 mobilenet_v2(const MobileNetV2Options& options = {});
/// For images of about 32x32: the stem and the first stage that would halve the image keep its size.
MobileNetV2 cifar_mobilenet_v2(const MobileNetV2Options& options = {.classes = 10});

struct MobileNetV3Options {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  double width = 1;      ///< of every layer; channels are rounded to multiples of 8, those before the head not narrowed
  double dropout = 0.2;  ///< share of what the head reads
};

/// MobileNetV3-Small (Howard et al., 1905.02244, table 2): a 3x3 convolution, eleven inverted residuals, most with
/// squeeze and excitation, a 1x1 convolution, mean over the image, two linear layers; hardswish from the fourth block
/// on. What squeezes has a fourth of the channels, rounded as all others are.
struct MobileNetV3Small : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::vector<InvertedResidual> body;
  Conv2d last;
  BatchNorm2d last_bn;
  Linear hidden;
  Dropout dropout;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, body, last, last_bn, hidden, dropout, head)

  /// `strides` of the stem and of the stages with 16, 24, 40 and 96 channels (those with 48 have none).
  MobileNetV3Small(const std::array<int64_t, 5>& strides, const MobileNetV3Options& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224: the paper's strides.
MobileNetV3Small mobilenet_v3_small(const MobileNetV3Options& options = {});
/// For images of about 32x32: the stem and the first stage that would halve the image keep its size.
MobileNetV3Small cifar_mobilenet_v3_small(const MobileNetV3Options& options = {.classes = 10});

}  // namespace sinter::nn
