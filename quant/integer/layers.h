#pragma once
// Private: the layers of a program that are no convolutions, on integers.

#include <span>

#include "../program.h"

namespace sinter::quant {

/// The output of an instruction, on the grid `y` and of this shape, from its inputs in their order: int8 or int16.
Tensor run_layer(const Instruction& step, std::span<const Tensor> x, const Shape& shape, const Grid& y,
                 const Arithmetic& march);

}  // namespace sinter::quant
