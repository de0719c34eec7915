#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sinter {

/// Every error that sinter reports: the message says which operation, what it got and what it expected.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {
void append(std::string& out, std::string_view part);
void append_integer(std::string& out, int64_t part);
void append_unsigned(std::string& out, uint64_t part);
void append_real(std::string& out, double part);

template <class Part>
void append_part(std::string& out, const Part& part) {
  if constexpr (std::is_same_v<Part, bool>)
    append(out, part ? "true" : "false");
  else if constexpr (std::is_same_v<Part, char>)
    append(out, std::string_view(&part, 1));
  else if constexpr (std::is_floating_point_v<Part>)
    append_real(out, part);
  else if constexpr (std::is_integral_v<Part> && std::is_signed_v<Part>)
    append_integer(out, part);
  else if constexpr (std::is_integral_v<Part>)
    append_unsigned(out, part);
  else if constexpr (std::is_convertible_v<const Part&, std::string_view>)
    append(out, part);
  else
    append(out, to_string(part));  // found by argument-dependent lookup: Shape, DType, ...
}
}  // namespace detail

/// The parts as text; numbers in their shortest form that reads back to the same float, where it is one, or double.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string out;
  (detail::append_part(out, parts), ...);
  return out;
}

/// `a, b, c`
std::string joined(const std::vector<std::string>& names);

/// Throws Error with the parts as its message.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(text(parts...));
}

/// Throws Error with the parts as its message unless `ok`. The message is only formatted when it is needed.
template <class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(parts...);
}

}  // namespace sinter
