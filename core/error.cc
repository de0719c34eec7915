#include "error.h"

#include <charconv>

std::string sinter::joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

namespace sinter::detail {

namespace {
template <class Number>
void append_number(std::string& out, Number part) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, part);
  out.append(buffer, result.ptr);
}
}  // namespace

void append(std::string& out, std::string_view part) { out.append(part); }
void append_integer(std::string& out, int64_t part) { append_number(out, part); }
void append_unsigned(std::string& out, uint64_t part) { append_number(out, part); }
void append_real(std::string& out, double part) {
  // A float prints as the shortest text of the float, not of the double that it converts to.
  if (static_cast<double>(static_cast<float>(part)) == part)
    append_number(out, static_cast<float>(part));
  else
    append_number(out, part);
}

}  // namespace sinter::detail
