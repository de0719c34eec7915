#pragma once

#include "graph.h"

namespace sinter {

/// The same network with fewer passes over memory: an addition of two tensors of one shape and a ReLU move into the
/// batch normalisation before them (ops::BatchNorm's `relu` and its tensor to add), where nothing else reads what lies
/// between; then a batch normalisation and the convolution before it, if that has no bias, become one
/// ops::Conv2dBatchNorm. An addition goes into its last eligible operand. The parameters are shared with the argument.
///
/// In training and in evaluation the outputs, running statistics and gradients have the same bits as the argument's:
/// the fused operation rounds as they did. (Where three or more gradients meet in one tensor, they may be added in
/// another order.)
///
/// A fused node keeps the convolution's name, or the batch normalisation's, and the others' names as aliases.
Graph fuse_batch_norm(const Graph& graph);

}  // namespace sinter
