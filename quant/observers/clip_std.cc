#include "clip_std.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"

namespace sinter::quant {

void ClipStd::validate() const {
  check(std::isfinite(std_scale) && std_scale > 0, "clip_std: std_scale is ", std_scale,
        ", expected positive and finite");
}

Range ClipStd::observe(const Samples& batch) {
  const Moments m = batch.moments();
  const auto reach = static_cast<float>(std_scale) * m.std;
  return {std::max(m.min, m.mean - reach), std::min(m.max, m.mean + reach)};
}

}  // namespace sinter::quant
