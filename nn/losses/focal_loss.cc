#include "focal_loss.h"

#include <cmath>
#include <limits>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/clamp.h"
#include "../../core/ops/pow.h"
#include "../../core/ops/sigmoid.h"
#include "bce_with_logits.h"
#include "reduction.h"

namespace sinter {

Tensor focal_loss(const Tensor& logits, const Tensor& target, const FocalLossOptions& options) {
  detail::check_pair("focal_loss", logits, target);
  check(std::isfinite(options.alpha) && options.alpha <= 1, "focal_loss: alpha is ", options.alpha,
        ", expected at most 1");
  check(std::isfinite(options.gamma) && options.gamma >= 0, "focal_loss: gamma is ", options.gamma,
        ", expected 0 or more");
  const Tensor others = 1 - target;
  Tensor losses = bce_with_logits(logits, target, {.reduction = "none"});
  if (options.gamma > 0) {
    // 1 - p_t without a difference of numbers near 1; where it is 0, a power below 1 has no slope.
    const Tensor miss = target * sigmoid(-logits) + others * sigmoid(logits);
    losses *= pow(clamp(miss, {.min = std::numeric_limits<float>::min()}), options.gamma);
  }
  if (options.alpha >= 0) losses *= target * options.alpha + others * (1 - options.alpha);
  return detail::reduced("focal_loss", losses, options.reduction);
}

}  // namespace sinter
