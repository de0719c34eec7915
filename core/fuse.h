#pragma once

#include "graph.h"

namespace sinter {

/// The same network with fewer passes over memory: an addition of two tensors of one shape and a ReLU move into the
/// batch normalisation before them (ops::BatchNorm's `relu` and its tensor to add), where nothing else reads what lies
/// between. An addition goes into its last eligible operand. The parameters are shared with the argument.
///
/// In training and in evaluation the outputs, running statistics and gradients have the same bits as the argument's:
/// the fused operation rounds as the three did. (Where three or more gradients meet in one tensor, they may be added in
/// another order.)
///
/// A fused node keeps the batch normalisation's name, and the others' names as aliases.
Graph fuse_batch_norm(const Graph& graph);

}  // namespace sinter
