#include "format.h"

#include <charconv>

namespace sinter {

namespace {

std::string format(double value, std::chars_format kind, int precision) {
  char buffer[512];  // the largest double has 309 digits before its point
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, kind, precision).ptr;
  return {buffer, end};
}

}  // namespace

std::string with_decimals(double value, int decimals) { return format(value, std::chars_format::fixed, decimals); }
std::string with_digits(double value, int digits) { return format(value, std::chars_format::general, digits); }

}  // namespace sinter
