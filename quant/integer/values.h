#pragma once
// Private: real values to integers, and integers into bounds, over whole tensors; for fake-quantisation and the fast
// simulator.

#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// y (int8) = the integers nearest to x / scale (float32) within the bounds, as the contract's `quantize` has them.
void quantize(const Tensor& x, float scale, const Bounds& bounds, Rounding rounding, Tensor& y);

/// y = x within the bounds, both int8.
void clamp(const Tensor& x, const Bounds& bounds, Tensor& y);

}  // namespace sinter::quant
