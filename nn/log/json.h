#pragma once
// Private: the little of JSON that logs write.

#include <string>
#include <string_view>

namespace sinter::nn {

/// The text, as UTF-8, with what JSON, in quotes, escapes.
std::string json_escaped(std::string_view text);
/// A number, or null where it is not finite.
std::string json_number(double value);

}  // namespace sinter::nn
