#pragma once
// Private: resizing images of integers.

#include "../../core/ops/resize.h"
#include "../march.h"

namespace sinter::quant {

/// y [N,OH,OW,C] from x [N,H,W,C], both int8 or both int16 and on one scale. Nearest: the values as they are. Bilinear:
/// with the fraction f of ops::Resize along an axis and w = round_half_even(f 2^bits), bits the march's `resize_bits`,
/// the four values around an output have the weights (2^bits - w) and w of their row times those of their column; their
/// sum is exact, below 2^47, and rounded once, as the datapath rounds shifts. Factors that are powers of two, up to
/// 2^14, have exact weights.
void integer_resize(const ResizeAttributes& a, const Tensor& x, const March& march, Tensor& y);

}  // namespace sinter::quant
