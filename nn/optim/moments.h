#pragma once
// Private: the running moments of gradients that Adam and its kin keep.

#include <string_view>

#include "optimizer.h"

namespace sinter::optim::detail {

/// Throws Error, starting with the optimiser's name, for settings that make no sense.
void check_moments(std::string_view optimizer, double beta1, double beta2, double eps);

}  // namespace sinter::optim::detail
