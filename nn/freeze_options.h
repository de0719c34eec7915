#pragma once
// Private: the options of `fit` that freeze something, as a list.

#include <cstdint>
#include <optional>
#include <vector>

#include "fit.h"
#include "freezing.h"

namespace sinter::nn {

struct FreezeOption {
  const char* name;
  const char* what;
  std::optional<int64_t> FitOptions::*field;
  bool Frozen::*flag;

  const std::optional<int64_t>& after(const FitOptions& options) const { return options.*field; }
};
const std::vector<FreezeOption>& freeze_options();

/// Throws Error for a negative number of steps, and where the model has nothing that the option freezes.
void check_freeze_options(const FitOptions& options, const Module& model);

/// What is frozen after so many steps.
Frozen frozen_after(int64_t steps, const FitOptions& options);

}  // namespace sinter::nn
