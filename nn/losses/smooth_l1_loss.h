#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct SmoothL1LossOptions {
  double beta = 1;                 ///< 0: the L1 loss
  std::string reduction = "mean";  ///< over all elements; or "sum", or "none": of x's shape
};
/// d^2 / (2 beta) where d = |x - target| is below beta, else d - beta / 2 (Girshick, 1504.08083): float32, both of one
/// shape.
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const SmoothL1LossOptions& options = {});

}  // namespace sinter
