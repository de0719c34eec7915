#pragma once

#include <vector>

#include "../../core/parameter.h"

namespace sinter::optim {

/// The L2 norm of all gradients together, summed in double in an order that the number of threads does not change.
double gradient_norm(const std::vector<NamedParameter>& parameters);

/// Scales all gradients by max_norm / norm where their norm is above max_norm (> 0). Returns the norm from before.
/// Throws Error, naming a parameter, when a gradient is not finite.
double clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm);

/// Multiplies all gradients, as those of several batches that make one step: `loss * count` of each, then 1 / images.
void scale_gradients(const std::vector<NamedParameter>& parameters, double factor);

/// Limits every element of every gradient to [-limit, limit] (limit > 0).
void clip_gradient_value(const std::vector<NamedParameter>& parameters, double limit);

}  // namespace sinter::optim
