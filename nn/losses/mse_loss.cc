#include "mse_loss.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/pow.h"
#include "reduction.h"

namespace sinter {

Tensor mse_loss(const Tensor& x, const Tensor& target, const MseLossOptions& options) {
  detail::check_pair("mse_loss", x, target);
  return detail::reduced("mse_loss", square(x - target), options.reduction);
}

}  // namespace sinter
