#pragma once

#include "../layers/conv2d.h"
#include "../layers/transformer_block.h"

namespace sinter::nn {

struct VisionTransformerOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
  Required<Pair> image, patch;  ///< height and width; the image's, as there is a position for each patch
  int64_t channels = 192;
  int64_t depth = 12;  ///< blocks
  int64_t heads = 3;
  int64_t hidden = 768;  ///< channels between the two layers of each perceptron
};

/// A vision transformer (Dosovitskiy et al., 2010.11929): a convolution that makes a token of each patch, learned
/// positions, `depth` encoders, layer normalisation, mean over the tokens (in place of a token of the class, as in
/// Beyer et al., 2205.01580), linear head. On a BPU, layer normalisation and softmax stay in float
/// (quant::run_in_float).
struct VisionTransformer : Module {
  Conv2d patches;
  Parameter positions;  ///< [1,tokens,channels]
  std::vector<TransformerBlock> body;
  LayerNorm norm;
  Linear head;
  SINTER_CHILDREN(patches, positions, body, norm, head)

  /// Throws Error for patches that do not divide the image, heads that do not divide the channels, and no blocks.
  VisionTransformer(const VisionTransformerOptions& options);
  /// [N,H,W,in_channels], of the options' size, to logits [N,classes].
  Tensor forward(const Tensor& x) const override;

 private:
  Pair image_;
};

struct VitOptions {
  int64_t in_channels = 3;
  int64_t classes = 1000;
};

/// The smallest one of Touvron et al. (2012.12877, table 1: DeiT-Ti), for images of 224x224 in patches of 16x16.
VisionTransformer vit_tiny(const VitOptions& options = {});
/// For images of 32x32 in patches of 4x4: as wide, half as many blocks.
VisionTransformer cifar_vit(const VitOptions& options = {.classes = 10});

}  // namespace sinter::nn
