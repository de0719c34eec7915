#include "moments.h"

#include <cmath>

namespace sinter::optim::detail {

void check_moments(std::string_view optimizer, double beta1, double beta2, double eps) {
  check(beta1 >= 0 && beta1 < 1, optimizer, ": beta1 is ", beta1, ", expected 0 <= beta1 < 1");
  check(beta2 >= 0 && beta2 < 1, optimizer, ": beta2 is ", beta2, ", expected 0 <= beta2 < 1");
  check(std::isfinite(eps) && eps >= 0, optimizer, ": eps is ", eps, ", expected 0 or more");
}

}  // namespace sinter::optim::detail
