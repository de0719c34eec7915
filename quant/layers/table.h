#pragma once
// Private: operations of one value as tables of all integers.

#include <string_view>

#include "../../core/op.h"
#include "../contract.h"

namespace sinter::quant {

/// Whether a BPU looks an operation up: sigmoid, silu, tanh, hardsigmoid, hardswish, leaky_relu.
bool has_table(std::string_view op);

/// What the table of an operation holds, in double:
///   sigmoid      1 / (1 + exp(-x))               hardsigmoid  min(max(x + 3, 0), 6) / 6
///   silu         x / (1 + exp(-x))               hardswish    x min(max(x + 3, 0), 6) / 6, from left to right
///   tanh         tanh(x)                         leaky_relu   x, below 0 x negative_slope
double table_function(const Op& op, double x);

/// [256] for int8, [65536] for int16, from the least integer of x's type on: sat(round(f(q s_x) / s_y)) on y's grid and
/// of its type, each step in double.
Tensor make_table(const Op& op, const Grid& x, const Grid& y, Rounding rounding);

}  // namespace sinter::quant
