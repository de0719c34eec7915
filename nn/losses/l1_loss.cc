#include "l1_loss.h"

#include "../../core/ops/abs.h"
#include "../../core/ops/arithmetic.h"
#include "reduction.h"

namespace sinter {

Tensor l1_loss(const Tensor& x, const Tensor& target, const L1LossOptions& options) {
  detail::check_pair("l1_loss", x, target);
  return detail::reduced("l1_loss", abs(x - target), options.reduction);
}

}  // namespace sinter
