#pragma once
// Private: names in a message.

#include <algorithm>
#include <string>
#include <utility>
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

/// What is said of names, a line for each thing that is said: `\n  a, b: what`.
class Findings {
 public:
  void add(const std::string& name, const std::string& what) {
    for (auto& [said, names] : lines_)
      if (said == what) return names.push_back(name);
    lines_.push_back({what, {name}});
  }
  bool empty() const { return lines_.empty(); }
  std::string lines() const {
    std::string out;
    for (const auto& [said, names] : lines_) out += text("\n  ", listed(names), ": ", said);
    return out;
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> lines_;
};

}  // namespace sinter::quant
