#pragma once

#include <string>

#include "compare.h"

namespace sinter::quant {

/// Two tables, activations and weights, in the order of the graph; errors in units of b's scales.
std::string to_string(const Comparison& report);

/// One row an activation or weight, in the order of the graph, and one for each node that only one stage has, under a
/// row of names, which are those of the fields of Comparison. Shares are 0..1; numbers read back to the same double; a
/// field that a row does not have is empty.
std::string to_csv(const Comparison& report);
/// Throws Error naming the path and the fault; then what was there before is untouched.
void write_csv(const Comparison& report, const std::string& path);

}  // namespace sinter::quant
