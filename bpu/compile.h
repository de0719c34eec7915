#pragma once

#include "../quant/prepare.h"
#include "program.h"

namespace sinter::bpu {

struct CompileOptions {
  quant::MarchChoice march{};  ///< "bayes" or a March; none: the one that the model was prepared for
};

/// The integer program that computes what the model computes in FakeQuantState::validation. Operations that were set to
/// float (quant::run_in_float) are steps of the CPU: what is computed from them may differ between instruction sets
/// (`to_string` of the program lists them). Throws Error for a model
/// that was prepared for another march or observed nothing, and, listing every layer at fault, where the integers do
/// not fit the machine: accumulators that could leave 32 bits, ratios of scales that no multiplier reaches.
Program compile(const quant::PreparedModel& model, const CompileOptions& options = {});

}  // namespace sinter::bpu
