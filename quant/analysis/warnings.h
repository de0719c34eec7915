#pragma once

#include <string>
#include <vector>

#include "../prepare.h"

namespace sinter::quant {

/// Scales, fixed or clipped by the march's grid, whose largest integer the observed values or the weights go beyond: a
/// line each, as in all of these `<name>: what`.
std::vector<std::string> saturation_warnings(const PreparedModel& model);

/// Ranges that say little about this model: of one batch alone, or mostly the first batch's; of another function's
/// values.
std::vector<std::string> calibration_warnings(const PreparedModel& model);

/// All that is allowed but costs accuracy: tensors that nothing was observed for; saturation; tensors and channels of
/// weights that are always zero; weights whose scale their bias or residual raises; rescalings whose integers are
/// coarse; learned scales that training made tiny; what `calibration_warnings` says; inputs that leave half of the
/// integers unused; what did not fuse; outputs of the network that stay int8; inputs that were NaN.
std::vector<std::string> warnings(const PreparedModel& model);

/// What is good to know: layers that are called several times, or whose calls became copies; outputs of high precision;
/// float regions.
std::vector<std::string> notes(const PreparedModel& model);

}  // namespace sinter::quant
