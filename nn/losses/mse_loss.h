#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct MseLossOptions {
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of x's shape
};
/// (x - target)^2: float32, both of one shape.
Tensor mse_loss(const Tensor& x, const Tensor& target, const MseLossOptions& options = {});

}  // namespace sinter
