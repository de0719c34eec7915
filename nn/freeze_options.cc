#include "freeze_options.h"

#include <algorithm>

namespace sinter::nn {

const std::vector<FreezeOption>& freeze_options() {
  static const std::vector<FreezeOption> all{
      {"freeze_observers_after", "observers", &FitOptions::freeze_observers_after, &Frozen::observers},
      {"freeze_batch_norm_after", "batch normalisation", &FitOptions::freeze_batch_norm_after, &Frozen::batch_norm},
      {"freeze_scales_after", "scales of activations", &FitOptions::freeze_scales_after, &Frozen::scales},
  };
  return all;
}

void check_freeze_options(const FitOptions& options, const Module& model) {
  const auto modules = model.modules();
  for (const FreezeOption& option : freeze_options()) {
    const auto& after = option.after(options);
    if (!after) continue;
    check(*after >= 0, "fit: ", option.name, " is ", *after, ", expected 0 or more");
    const bool found = std::any_of(modules.begin(), modules.end(),
                                   [&](const auto& entry) { return entry.second->freezable().*option.flag; });
    check(found, "fit: ", option.name, " is ", *after, ", but the model has no ", option.what, " to freeze");
  }
}

Frozen frozen_after(int64_t steps, const FitOptions& options) {
  Frozen frozen;
  for (const FreezeOption& option : freeze_options())
    if (const auto& after = option.after(options); after) frozen.*option.flag = steps >= *after;
  return frozen;
}

}  // namespace sinter::nn
