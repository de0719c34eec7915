#pragma once
// Private: functions of one value as tables of all integers.

#include <functional>

#include "../../core/op.h"
#include "../contract.h"

namespace sinter::quant {

/// In double; empty where there is none.
using TableFunction = std::function<double(double)>;

/// What an operation of one tensor (ops::Pointwise) makes of each value; or one of two, sum, difference, product,
/// quotient, minimum or maximum, of which `constants` (in the order of its operands, undefined where a tensor is) holds
/// one, a single number. ReLU and ReLU6 are no tables: they are bounds.
TableFunction table_function(const Op& op, std::span<const Tensor> constants = {});

/// [256] for int8, [65536] for int16, from the least integer of x's type on: sat(round(f(q s_x) / s_y)) on y's grid and
/// of its type, each step in double; 0 where f is not a number.
Tensor make_table(const TableFunction& f, const Grid& x, const Grid& y, Rounding rounding);

}  // namespace sinter::quant
