#include "reduction.h"

#include "../../core/ops/reduce.h"

namespace sinter::detail {

void check_pair(std::string_view loss, const Tensor& x, const Tensor& target) {
  check(x.dtype() == DType::float32 && target.spec() == x.spec(), loss, ": got ", x.spec(), " and a target ",
        target.spec(), ", expected both float32 of one shape");
}

Tensor reduced(std::string_view loss, const Tensor& losses, const std::string& reduction) {
  check(reduction == "mean" || reduction == "sum" || reduction == "none", loss, ": reduction is '", reduction,
        "', expected mean, sum or none");
  if (reduction == "none") return losses;
  return reduction == "sum" ? sum(losses) : mean(losses);
}

}  // namespace sinter::detail
