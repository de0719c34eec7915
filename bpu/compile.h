#pragma once

#include <optional>

#include "../quant/prepare.h"
#include "program.h"

namespace sinter::bpu {

struct CompileOptions {
  std::optional<quant::March> march{};  ///< none: the one that the model was prepared for
};

/// The integer program that computes what the model computes in FakeQuantState::validation. Throws Error for a model
/// that was prepared for another march or observed nothing, and, listing every layer at fault, where the integers do
/// not fit the machine: accumulators that could leave 32 bits, ratios of scales that no multiplier reaches.
Program compile(const quant::PreparedModel& model, const CompileOptions& options = {});

}  // namespace sinter::bpu
