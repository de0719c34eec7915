#pragma once

#include <memory>

#include "../quant/analysis/stage.h"
#include "simulator.h"

namespace sinter::bpu {

/// A program as comparisons see it: `quant::compare(*quant::float_stage(model), *program_stage(simulator), images)`.
/// The simulator outlives the stage.
std::unique_ptr<quant::Stage> program_stage(const Simulator& simulator);
std::unique_ptr<quant::Stage> program_stage(Simulator&&) = delete;

}  // namespace sinter::bpu
