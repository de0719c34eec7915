#include "percentile.h"

#include <algorithm>

#include "../../core/error.h"

namespace sinter::quant {

void Percentile::validate() const {
  check(percentile > 0 && percentile <= 100, "percentile: percentile is ", percentile, ", expected in (0, 100]");
  check(bins >= 1 && bins <= (1 << 24), "percentile: bins is ", bins, ", expected 1 to 2^24");
}

Range Percentile::observe(const Samples& batch) {
  const Range range = batch.range();
  const float limit = std::max(-range.min, range.max);
  if (limit == 0 || percentile == 100) return range;
  const std::vector<int64_t> counts = batch.histogram(bins, limit);
  const double target = percentile / 100 * static_cast<double>(batch.count());
  int64_t bin = 0, seen = counts[0];
  while (static_cast<double>(seen) < target && bin + 1 < bins) seen += counts[++bin];
  const float width = limit / static_cast<float>(bins);
  const float clip = (static_cast<float>(bin) + 0.5f) * width;
  return {std::max(range.min, -clip), std::min(range.max, clip)};
}

}  // namespace sinter::quant
