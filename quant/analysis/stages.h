#pragma once

#include <memory>

#include "../prepare.h"
#include "stage.h"

namespace sinter::quant {

/// The fused graph of a prepared model in float, whatever its state, with the parameters that it has: those that QAT or
/// correct_bias left. To compare with the network as it was, keep the calibrated model. The model outlives the stage.
std::unique_ptr<Stage> float_stage(const PreparedModel& model);
std::unique_ptr<Stage> float_stage(PreparedModel&&) = delete;

/// A prepared model as it computes in FakeQuantState::validation, with the scales and parameters that it has now;
/// nothing of the model is needed afterwards. Throws Error where it has not been observed, or its integers do not fit
/// the march.
std::unique_ptr<Stage> quantised_stage(const PreparedModel& model);

}  // namespace sinter::quant
