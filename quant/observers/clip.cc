#include "clip.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"

namespace sinter::quant {

void Clip::validate() const {
  check(std::isfinite(min) || std::isfinite(max), "clip: min is ", min, " and max is ", max,
        ", expected one of these keywords at least");
  check(min < max, "clip: min is ", min, " and max is ", max, ", expected min < max");
}

Range Clip::observe(const Samples& batch) {
  const Range range = batch.range();
  const auto limited = [&](double v) { return static_cast<float>(std::clamp(v, min, max)); };
  return {limited(range.min), limited(range.max)};
}

}  // namespace sinter::quant
