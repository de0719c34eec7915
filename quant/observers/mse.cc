#include "mse.h"

#include <algorithm>

namespace sinter::quant {

Range Mse::observe(const Samples& batch) {
  const Range whole = batch.range();
  std::vector<Range> candidates;
  std::vector<float> scales;
  for (int percent = 100; percent >= 6; --percent) {
    const float part = static_cast<float>(percent) / 100;
    candidates.push_back({part * whole.min, part * whole.max});
    scales.push_back(scale_of(candidates.back()));
  }
  const std::vector<double> errors = batch.squared_errors(scales, type);
  return candidates[std::min_element(errors.begin(), errors.end()) - errors.begin()];  // the first of equal ones
}

}  // namespace sinter::quant
