#include "statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace sinter::quant {

double decibels(double noise) { return noise > 0 ? -10 * std::log10(noise) : std::numeric_limits<double>::infinity(); }

Agreement agreement_of(double xx, double yy, double xy, double squared_errors) {
  Agreement result;
  if (xx > 0 && yy > 0)
    result.cosine = std::clamp(xy / (xx == yy ? xx : std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
  else
    result.cosine = xx == yy ? 1 : 0;
  if (squared_errors > 0) result.noise = xx > 0 ? squared_errors / xx : std::numeric_limits<double>::infinity();
  result.sqnr = decibels(result.noise);
  return result;
}

ChannelRatio channel_ratio(std::span<const float> reach) {
  ChannelRatio result;
  if (reach.empty()) return result;
  result.widest = std::max_element(reach.begin(), reach.end()) - reach.begin();
  std::vector<float> live;
  for (const float r : reach)
    if (r > 0) live.push_back(r);
  result.dead = static_cast<int64_t>(reach.size() - live.size());
  if (live.empty()) return result;
  const auto median = live.begin() + static_cast<std::ptrdiff_t>((live.size() - 1) / 2);
  std::nth_element(live.begin(), median, live.end());
  result.ratio = static_cast<double>(reach[result.widest]) / static_cast<double>(*median);
  return result;
}

}  // namespace sinter::quant
