#pragma once
// Private: what the integers of a program must be, from its scales alone, and what they compute.

#include <string>

#include "layer.h"

namespace sinter::bpu::witness {

/// What of an instruction's multipliers, table, output bounds and scale is not what the scales ask for: a line each,
/// beginning with a line break; empty when nothing is.
std::string wrong_integers(const Program& program, const Instruction& step);

/// The output of an instruction that computes with integers: held to its bounds, or, for a head, its accumulators.
/// Throws Error where 32 bits do not hold one.
Plain run_layer(const Program& program, const Instruction& step, const std::vector<const Plain*>& in);

}  // namespace sinter::bpu::witness
