#include "huber_loss.h"

#include <cmath>

#include "../../core/ops/abs.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/clamp.h"
#include "reduction.h"

namespace sinter {

Tensor huber_loss(const Tensor& x, const Tensor& target, const HuberLossOptions& options) {
  detail::check_pair("huber_loss", x, target);
  check(std::isfinite(options.delta) && options.delta > 0, "huber_loss: delta is ", options.delta,
        ", expected above 0");
  const Tensor distance = abs(x - target), near = clamp(distance, {.max = options.delta});
  return detail::reduced("huber_loss", near * (distance - 0.5 * near), options.reduction);
}

}  // namespace sinter
