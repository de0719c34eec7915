#pragma once

#include "layer_norm.h"
#include "multi_head_attention.h"

namespace sinter::nn {

struct TransformerBlockOptions {
  Required<int64_t> channels, heads;
  Required<int64_t> hidden;  ///< channels between the two layers of the perceptron
};

/// The encoder of a vision transformer (Dosovitskiy et al., 2010.11929, equations 2 and 3): attention, then two linear
/// layers with a gelu between them, each of the normalised input and added to the input. [N,tokens,channels] to the
/// same.
struct TransformerBlock : Module {
  LayerNorm norm1;
  MultiHeadAttention attention;
  LayerNorm norm2;
  Linear expand, contract;
  SINTER_CHILDREN(norm1, attention, norm2, expand, contract)

  TransformerBlock(TransformerBlockOptions options);
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
