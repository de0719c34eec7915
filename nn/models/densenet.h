#pragma once

#include "../layers/dense_block.h"
#include "../layers/linear.h"

namespace sinter::nn {

struct CifarDenseNetOptions {
  int64_t in_channels = 3;
  int64_t classes = 10;
  int64_t growth = 12;    ///< channels that each layer adds: the paper's k
  int64_t channels = 16;  ///< of the first convolution
};

/// The densely connected networks of Huang et al. (1608.06993, section 4.2) for images of about 32x32: a 3x3
/// convolution, three dense blocks of `layers` layers with transitions between them, batch normalisation and ReLU, mean
/// over the image, linear head. 3 * layers + 4 layers; without bottlenecks and compression.
struct CifarDenseNet : Module {
  Conv2d stem;
  std::vector<DenseBlock> body;
  std::vector<DenseTransition> transitions;
  BatchNorm2d bn;
  Linear head;
  SINTER_CHILDREN(stem, body, transitions, bn, head)

  CifarDenseNet(int64_t layers, const CifarDenseNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,classes].
  Tensor forward(const Tensor& x) const override;
};

CifarDenseNet densenet40(const CifarDenseNetOptions& options = {});

}  // namespace sinter::nn
