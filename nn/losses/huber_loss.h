#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct HuberLossOptions {
  double delta = 1;                ///< above 0
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of x's shape
};
/// d^2 / 2 where d = |x - target| is below delta, else delta (d - delta / 2): float32, both of one shape.
Tensor huber_loss(const Tensor& x, const Tensor& target, const HuberLossOptions& options = {});

}  // namespace sinter
