#include "kl_div.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/compare.h"
#include "../../core/ops/exp.h"
#include "../../core/ops/log.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/where.h"
#include "reduction.h"

namespace sinter {

Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, const KlDivOptions& options) {
  const Tensor& x = log_probabilities;
  detail::check_pair("kl_div", x, target);
  Tensor losses;
  if (options.log_target)
    losses = exp(target) * (target - x);
  else
    losses = target * log(where(eq(target, 0), 1.0, target)) - target * x;
  if (options.reduction != "batchmean") {
    check(options.reduction == "mean" || options.reduction == "sum" || options.reduction == "none",
          "kl_div: reduction is '", options.reduction, "', expected mean, batchmean, sum or none");
    return detail::reduced("kl_div", losses, options.reduction);
  }
  check(x.rank() > 0 && x.size(0) > 0, "kl_div: the batch is ", x.shape(), ", expected at least one row");
  return sum(losses) / static_cast<double>(x.size(0));
}

}  // namespace sinter
