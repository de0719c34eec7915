#pragma once
// Private: what JSON, pages and event files must be.

#include <string>
#include <string_view>

namespace sinter::nn {

/// The text with U+FFFD for every byte that is no UTF-8, as names of files may have.
std::string valid_utf8(std::string_view text);

}  // namespace sinter::nn
