#pragma once

#include "batch_norm2d.h"
#include "conv2d.h"

namespace sinter::nn {

struct DenseLayerOptions {
  Required<int64_t> in, growth;  ///< channels, and those that the layer gives
};

/// Batch normalisation, ReLU, and a 3x3 convolution (Huang et al., 1608.06993, section 3). [N,H,W,in] to
/// [N,H,W,growth].
struct DenseLayer : Module {
  BatchNorm2d bn;
  Conv2d conv;
  SINTER_CHILDREN(bn, conv)

  DenseLayer(DenseLayerOptions options);
  Tensor forward(const Tensor& x) const override;
};

struct DenseBlockOptions {
  Required<int64_t> in, growth;  ///< channels, and those that each layer adds
  int64_t layers = 12;
};

/// Dense layers, each of which reads the input and what all layers before it gave (figure 1). [N,H,W,in] to
/// [N,H,W,in + layers * growth], which are the input and what all layers gave.
struct DenseBlock : Module {
  std::vector<DenseLayer> layers;
  SINTER_CHILDREN(layers)

  /// Throws Error unless it has a layer.
  DenseBlock(DenseBlockOptions options);
  Tensor forward(const Tensor& x) const override;
};

struct DenseTransitionOptions {
  Required<int64_t> in, out;  ///< channels
};

/// Between two dense blocks: batch normalisation, ReLU, a 1x1 convolution, and means of 2x2. [N,H,W,in] to
/// [N,H/2,W/2,out].
struct DenseTransition : Module {
  BatchNorm2d bn;
  Conv2d conv;
  SINTER_CHILDREN(bn, conv)

  DenseTransition(DenseTransitionOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
