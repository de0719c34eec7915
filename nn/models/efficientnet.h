#pragma once

#include "../layers/dropout.h"
#include "../layers/inverted_residual.h"
#include "../layers/linear.h"

namespace sinter::nn {

struct EfficientNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  double width = 1;      ///< of every layer; channels are rounded to multiples of 8
  double depth = 1;      ///< of the seven stages; their numbers of blocks are rounded up
  double dropout = 0.2;  ///< share of what the head reads
};

/// EfficientNet (Tan and Le, 1905.11946, table 1): a 3x3 convolution, sixteen inverted residuals with squeeze and
/// excitation, a 1x1 convolution, mean over the image, linear head; silu everywhere. Without the paper's stochastic
/// depth, which drops whole blocks in training.
struct EfficientNet : Module {
  Conv2d stem;
  BatchNorm2d stem_bn;
  std::vector<InvertedResidual> body;
  Conv2d last;
  BatchNorm2d last_bn;
  Dropout dropout;
  Linear head;
  SINTER_CHILDREN(stem, stem_bn, body, last, last_bn, dropout, head)

  /// `strides` of the stem and of the seven stages.
  EfficientNet(const std::array<int64_t, 8>& strides, const EfficientNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

/// For images of 224x224: the paper's strides. B1 and B2 are this with a width of 1 and 1.1, a depth of 1.1 and 1.2.
EfficientNet efficientnet_b0(const EfficientNetOptions& options = {});
/// For images of about 32x32: the stem and the first stage that would halve the image keep its size.
EfficientNet cifar_efficientnet_b0(const EfficientNetOptions& options = {.classes = 10});

}  // namespace sinter::nn
