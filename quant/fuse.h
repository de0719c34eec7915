#pragma once

#include "../core/graph.h"

namespace sinter::quant {

/// The graph as a BPU's layers, with parameters of its own: batch normalisation that follows a convolution or linear
/// layer is folded into it (running statistics; computed in double), an addition is fused into the convolution of its
/// last eligible operand, and ReLU and ReLU6 into the convolution before them. Every convolution and linear layer
/// becomes a fused one, with a bias. A fused node takes the convolution's name and keeps the others' as aliases.
Graph fuse(const Graph& graph);

}  // namespace sinter::quant
