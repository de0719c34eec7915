#include "fixed_scale.h"

#include <limits>

#include "../../core/error.h"

namespace sinter::quant {

void FixedScale::validate() const {
  check(scale >= kMinScale && scale <= std::numeric_limits<float>::max(), "fixed_scale: keyword 'scale' is ", scale,
        ", expected at least 2^-23 and finite");
}

}  // namespace sinter::quant
