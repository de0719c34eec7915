#pragma once
// Private: text in columns.

#include <cstddef>
#include <string>
#include <vector>

namespace sinter::detail {

/// Rows as columns of equal width; the first `left` columns are flush left.
std::string table(const std::vector<std::vector<std::string>>& rows, size_t left);

}  // namespace sinter::detail
