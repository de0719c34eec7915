#pragma once
// Private: a network on its way to quantisation, and its calibration: what PreparedModel and the older calibration
// share.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "../core/graph.h"
#include "../nn/module.h"
#include "quantizer.h"

namespace sinter::quant {

/// A model as a trace shows it, for a batch of one and without its QuantStubs.
struct TracedNetwork {
  Graph graph;
  std::vector<double> stub_scales;  ///< by input, 0 for what has none
};

/// The parameters are shared with the model. Throws Error, starting with `what`, for a model that cannot be traced, is
/// prepared already or has QuantStubs inside.
TracedNetwork trace_network(const char* what, const nn::Module& model, const Specs& inputs);
/// The same for inputs like these: examples of three axes are images [H,W,C] or batches, whichever the model takes.
/// Throws Error, too, where it takes both.
TracedNetwork trace_network(const char* what, const nn::Module& model, const std::vector<Tensor>& examples);

/// The shapes of examples; those of three axes are images [H,W,C] in a batch of their own, or, where not
/// `single_images`, batches.
Specs specs_of(const std::vector<Tensor>& examples, bool single_images);

/// A number of the graph's structure (not of its values): equal for the same network.
uint32_t fingerprint(const Graph& graph);

/// By node, a number of the function that it is of the graph's inputs: equal for the same operations on the same
/// parameters, batch normalisation folded or not.
std::vector<uint64_t> functions_of(const Graph& graph);

/// Names that no node has: a network may have a layer called `input`.
std::vector<std::string> names_of_inputs(const Graph& graph);

/// Throws Error, starting with `what`, unless these are inputs of the graph with any batch.
void check_inputs(const char* what, const Graph& graph, const std::vector<std::string>& names,
                  std::span<const Tensor> x);

/// Runs a graph in float and in evaluation behaviour, and shows each activation, inputs first, to its quantiser, where
/// there is one; but not in `evaluate` or `fit`, as test data must not reach the scales.
std::vector<Tensor> calibrate(const Graph& graph, std::span<const Tensor> x,
                              const std::function<const ActivationQuantizer*(const Operand&)>& quantizer_of);

}  // namespace sinter::quant
