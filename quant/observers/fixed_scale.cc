#include "fixed_scale.h"

#include <cmath>

#include "../../core/error.h"

namespace sinter::quant {

void FixedScale::validate() const {
  check(scale >= kMinScale && std::isfinite(scale), "fixed_scale: keyword 'scale' is ", scale,
        ", expected at least 2^-23 and finite");
  check(scale <= kMaxScale, "fixed_scale: keyword 'scale' is ", scale, ", expected at most 2^100");
}

}  // namespace sinter::quant
