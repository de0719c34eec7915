#pragma once
// Private: what the integers of a program must be, from its scales alone.

#include <string>

#include "../program.h"

namespace sinter::bpu::witness {

/// What of an instruction's multipliers, table, output bounds and scale is not what the scales ask for: a line each,
/// beginning with a line break; empty when nothing is.
std::string wrong_integers(const Program& program, const Instruction& step);

}  // namespace sinter::bpu::witness
