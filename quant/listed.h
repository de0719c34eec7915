#pragma once
// Private: names in a message.

#include <algorithm>
#include <string>
#include <vector>

#include "../core/error.h"

namespace sinter::quant {

/// `a, b, c and 5 more`
inline std::string listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 12;
  std::string out = joined({names.begin(), names.begin() + std::min(names.size(), kMost)});
  if (names.size() > kMost) out += text(" and ", names.size() - kMost, " more");
  return out;
}

}  // namespace sinter::quant
