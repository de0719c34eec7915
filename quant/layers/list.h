#pragma once
// Private: all layers, and the nodes of a fused graph among them.

#include "layer.h"

namespace sinter::quant {

/// The layer that takes a node, or null.
const Layer* layer_of(const Graph& graph, const Node& node);

/// Whether its output has a scale of its own.
bool has_scale(const Graph& graph, const Node& node);

/// Why none takes a node, and what to do about it.
std::string unsupported_reason(const Graph& graph, const Node& node);

/// By node, whether its output may hold negative values, as far as its operation tells.
std::vector<bool> may_be_negative(const Graph& graph);

/// The instruction of a node for inputs on these grids. Its `inputs` are places among the node's activations. `y` has
/// the output's scale and type where they are its own; its bounds, and what passes through, are filled in. Throws
/// Error, naming the node, where the march's datapath has no integers for its scales.
Instruction layer_instruction(const Lowering& from, Grid& y);

/// Its output from its inputs in their order.
Tensor run_layer(const Running& r);

}  // namespace sinter::quant
