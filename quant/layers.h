#pragma once
// Private: which layer of a BPU each node of a fused graph is, and what it is as an instruction; the one list of what
// can be quantised.

#include <string>

#include "../core/graph.h"
#include "program.h"

namespace sinter::quant {

enum class Layer {
  conv,         ///< FusedConv: convolution, transposed convolution or linear
  add,          ///< sum or difference of two tensors, which may broadcast
  mul,          ///< product of two tensors, which may broadcast
  mean,         ///< over the image of [N,H,W,C]
  avg_pool,     ///< avg_pool2d
  concat,       ///< along any axis but the batch's
  table,        ///< what `has_table` lists
  prelu,        ///< of slopes that are parameters
  clamp,        ///< ReLU or ReLU6 on its own
  moves,        ///< max_pool2d, reshape, flatten: the scale passes through, as through the next
  rearranges,   ///< slice, pad, pixel_shuffle, resize
  unsupported,  ///< the BPU has no such layer
};
Layer layer_of(const Graph& graph, const Node& node);

/// What is wrong with an unsupported node, and what to do about it.
std::string unsupported_reason(const Graph& graph, const Node& node);

/// Whether a node's output has a scale of its own.
inline bool has_scale(Layer layer) {
  return layer != Layer::clamp && layer != Layer::moves && layer != Layer::rearranges && layer != Layer::unsupported;
}

/// By node, whether its output may hold negative values, as far as its operation tells.
std::vector<bool> may_be_negative(const Graph& graph);

/// The instruction of a node that is a layer but no convolution, for inputs on these grids. Its `inputs` are places
/// among the node's activations. `y` has the output's scale and type where they are its own; its bounds, and what
/// passes through, are filled in. Throws Error, naming the node, where the march's datapath has no integers for its
/// scales.
Instruction layer_instruction(const Graph& graph, const Node& node, const std::vector<Grid>& x, const Arithmetic& march,
                              Grid& y);

/// The integers that a layer, whose scale is its input's, may make of those: a ReLU limits them, a border may be beyond
/// what the image holds, but not beyond the type.
Bounds passed_bounds(const Node& node, const Grid& x, Rounding rounding);

/// How a convolution's accumulators, of these units by channel, become y, with a residual on the grid `skip` or without
/// one (null). Throws Error, naming the node, where the march's datapath has no integers for it.
std::vector<Rescaling> channel_rescalings(const std::string& node, const March& march, const std::vector<double>& unit,
                                          const Grid* skip, const Grid& y);

}  // namespace sinter::quant
