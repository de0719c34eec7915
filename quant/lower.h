#pragma once
// Private: a prepared model as its integer program.

#include "prepare.h"
#include "program.h"

namespace sinter::quant {

/// The integers of a model with the scales and parameters that it has now. Throws Error, listing every layer at fault,
/// where ratios of scales have no multiplier or values are not finite; accumulators are the runner's to check.
IntegerProgram lower(const PreparedModel& model);

}  // namespace sinter::quant
