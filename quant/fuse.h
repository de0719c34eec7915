#pragma once

#include <functional>
#include <string>
#include <vector>

#include "../core/graph.h"

namespace sinter::quant {

struct FuseOptions {
  /// False: batch normalisation stays in the fused node, to be trained in QAT ("with_bn").
  bool fold_batch_norm = true;
};

/// The graph as a BPU's layers, with its own copies of the parameters: batch normalisation that follows a convolution,
/// transposed convolution or linear layer is folded into it (running statistics; computed in double), an addition is
/// fused into the layer of its last eligible operand, and ReLU and ReLU6 into the layer before them. Every one of these
/// layers becomes a fused one, with a bias; a transposed convolution's weight is there rotated by half a turn. A fused
/// node takes the convolution's name and keeps the others' as aliases. A batch normalisation by constants is folded in
/// any case: there is nothing to train. One that has no such layer before it (behind an addition, a pool, a
/// concatenation, on an input; or whose layer others read) is folded into a 1x1 depthwise convolution of its own. What
/// is one parameter in several places, as of a layer that is called twice or of tied weights, stays one wherever the
/// same is folded into it; `untied` gets a line, `<parameter>: why`, for each that does not. Dropout is gone: what is
/// trained after this, is trained without.
Graph fuse(const Graph& graph, const FuseOptions& options = {}, std::vector<std::string>* untied = nullptr);

/// The fused graph with elementwise operations that follow one another as one each (ops::Chain), which a table makes
/// one layer: functions of one value and arithmetic with one number or with each other, of one tensor alone, whose
/// results in between nothing else reads. A chain has the name of its last node and those of the others as aliases.
/// `alike(i, j)`: whether two nodes may be of one, by index.
Graph fuse_chains(const Graph& fused, const std::function<bool(size_t, size_t)>& alike);

/// What of a fused graph a user would have expected to be fused, and why it was not: a line each, `<node>: why`.
std::vector<std::string> unfused_patterns(const Graph& fused);

}  // namespace sinter::quant
