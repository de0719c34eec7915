#include "smooth_l1_loss.h"

#include <cmath>

#include "../../core/ops/abs.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/huber.h"
#include "reduction.h"

namespace sinter {

Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const SmoothL1LossOptions& options) {
  detail::check_pair("smooth_l1_loss", x, target);
  const double beta = options.beta;
  check(std::isfinite(beta) && beta >= 0, "smooth_l1_loss: beta is ", beta, ", expected 0 or more");
  if (beta == 0) return detail::reduced("smooth_l1_loss", abs(x - target), options.reduction);
  return detail::reduced("smooth_l1_loss", huber(x, target, {.delta = beta}), options.reduction) / beta;
}

}  // namespace sinter
