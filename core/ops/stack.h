#pragma once

#include <vector>

#include "../tensor.h"

namespace sinter {

/// Tensors of one type and shape as the slices of a new axis, which is at `axis` of the result (negative ones count
/// from its last): a reshape of each, and a concat.
Tensor stack(const std::vector<Tensor>& x, int64_t axis = 0);

}  // namespace sinter
