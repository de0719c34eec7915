#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct L1LossOptions {
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of x's shape
};
/// |x - target|: float32, both of one shape.
Tensor l1_loss(const Tensor& x, const Tensor& target, const L1LossOptions& options = {});

}  // namespace sinter
