#include "format.h"

#include <cmath>
#include <cstdio>

namespace sinter::quant {

namespace {

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, pattern, values...);
  return buffer;
}

}  // namespace

std::string fixed(double value, int decimals) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // Beyond, the digits are noise, and the text longer than its place.
  return std::abs(value) < 1e12 ? format("%.*f", decimals, value) : format("%.3g", value);
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

std::string short_number(double value) { return std::isinf(value) ? fixed(value, 0) : format("%.3g", value); }

}  // namespace sinter::quant
