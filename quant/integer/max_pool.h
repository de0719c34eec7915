#pragma once
// Private: max pooling of integers, for the fast simulator.

#include "../../core/ops/pool_windows.h"
#include "../../core/tensor.h"

namespace sinter::quant {

/// y [N,OH,OW,C] = the largest of each window of x [N,H,W,C], both int8 or both int16, shapes as `pool_shape` has them;
/// padding never wins.
void integer_max_pool(const ops::PoolWindow& window, const Tensor& x, Tensor& y);

}  // namespace sinter::quant
