#pragma once
// Private: which layer of a BPU each node of a fused graph is; the one list of what can be quantised.

#include <string>

#include "../core/graph.h"

namespace sinter::quant {

enum class Layer {
  conv,         ///< FusedConv: convolution or linear
  add,          ///< of two tensors of one shape
  mean,         ///< over the image of [N,H,W,C]
  clamp,        ///< ReLU or ReLU6 on its own
  moves,        ///< max_pool2d, reshape, flatten: the scale passes through
  unsupported,  ///< the BPU has no such layer
};
Layer layer_of(const Graph& graph, const Node& node);

/// What is wrong with an unsupported node, and what to do about it.
std::string unsupported_reason(const Graph& graph, const Node& node);

/// Whether a node's output has a scale of its own.
inline bool has_scale(Layer layer) { return layer == Layer::conv || layer == Layer::add || layer == Layer::mean; }

}  // namespace sinter::quant
