#pragma once
// Private: resizing images of integers.

#include "../../core/ops/resize.h"
#include "../contract.h"

namespace sinter::quant {

/// y [N,OH,OW,C] from x [N,H,W,C], both int8 or both int16 and on one scale. Nearest: the values as they are. Bilinear:
/// with the fraction f of ops::Resize along an axis and w = round_half_even(f 2^kResizeBits), the four values around an
/// output have the weights (2^kResizeBits - w) and w of their row times those of their column; their sum is exact,
/// below 2^46, and rounded once. Factors that are powers of two, up to 2^14, have exact weights.
void integer_resize(const ResizeAttributes& a, const Tensor& x, Rounding rounding, Tensor& y);

}  // namespace sinter::quant
