#include "bce_with_logits.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/softplus.h"
#include "reduction.h"

namespace sinter {

namespace {

void check_broadcasts(const char* what, const Tensor& weight, const Tensor& logits) {
  bool fits = weight.dtype() == DType::float32 && weight.rank() <= logits.rank();
  for (int axis = 1; fits && axis <= weight.rank(); ++axis)
    fits = weight.size(-axis) == 1 || weight.size(-axis) == logits.size(-axis);
  check(fits, "bce_with_logits: ", what, " is ", weight.spec(), ", expected float32 that broadcasts to ",
        logits.shape());
}

}  // namespace

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const BceWithLogitsOptions& options) {
  detail::check_pair("bce_with_logits", logits, target);
  if (options.weight.defined()) check_broadcasts("weight", options.weight, logits);
  if (options.pos_weight.defined()) check_broadcasts("pos_weight", options.pos_weight, logits);
  // -log sigmoid(x) = softplus(-x), and -log(1 - sigmoid(x)) is that + x.
  const Tensor hit = softplus(-logits, {.threshold = 80});
  Tensor losses = (1 - target) * logits;
  losses += options.pos_weight.defined() ? hit * (1 + (options.pos_weight - 1) * target) : hit;
  if (options.weight.defined()) losses *= options.weight;
  return detail::reduced("bce_with_logits", losses, options.reduction);
}

}  // namespace sinter
