#include "nearest.h"

#include <algorithm>

#include "error.h"

namespace sinter {

namespace {

constexpr size_t kListed = 8;

// Characters to insert, remove, replace or swap with their neighbour.
size_t edits(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string did_you_mean(const std::string& name, const std::vector<std::string>& names) {
  const std::string* best = nullptr;
  size_t least = 0;
  for (const std::string& known : names) {
    const size_t distance = edits(name, known);
    // What shares less than two thirds is another name, not a slip.
    if (3 * distance > std::max(name.size(), known.size()) || (best != nullptr && distance >= least)) continue;
    best = &known;
    least = distance;
  }
  if (best != nullptr) return text("; did you mean '", *best, "'?");
  if (names.empty()) return "";
  const size_t listed = std::min(names.size(), kListed);
  const std::string list = joined({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(listed)});
  return text("; there ", names.size() == 1 ? "is " : "are ", list,
              listed < names.size() ? text(" and ", names.size() - listed, " more") : std::string());
}

}  // namespace sinter
