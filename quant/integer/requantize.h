#pragma once
// Private: one rounding and one saturation per output value, over whole tensors.

#include <vector>

#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// How the accumulators of a convolution become its output.
struct Requantization {
  std::vector<int32_t> bias;            ///< qb per output channel
  std::vector<Multiplier> multipliers;  ///< per output channel
  Bounds bounds;
  Rounding rounding = Rounding::half_to_even;
};

/// y = sat(round(((acc + qb) m + skip ms) / 2^n)) for acc [..., O] int32, skip int8 of its shape or undefined; y int8.
/// `mask` (of `empty_mask`, rows of O bits) is set where the straight-through gradient passes: the value,
/// before it was saturated, rounds to within `type`, and is above 0 (relu) and below `below` (relu6: the real 6 in
/// units of y).
struct GradientMask {
  Bounds type;
  bool relu = false;
  double below = 0;  ///< 0: no upper limit
};
void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y);
void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y, const GradientMask& by,
                Tensor& mask);

}  // namespace sinter::quant
