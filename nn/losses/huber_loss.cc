#include "huber_loss.h"

#include <cmath>

#include "../../core/ops/huber.h"
#include "reduction.h"

namespace sinter {

Tensor huber_loss(const Tensor& x, const Tensor& target, const HuberLossOptions& options) {
  detail::check_pair("huber_loss", x, target);
  check(std::isfinite(options.delta) && options.delta > 0, "huber_loss: delta is ", options.delta,
        ", expected above 0");
  return detail::reduced("huber_loss", huber(x, target, {.delta = options.delta}), options.reduction);
}

}  // namespace sinter
