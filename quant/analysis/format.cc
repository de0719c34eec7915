#include "format.h"

#include <cmath>

#include "../../core/format.h"

namespace sinter::quant {

std::string fixed(double value, int decimals) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  // Beyond, the digits are noise, and the text longer than its place.
  return std::abs(value) < 1e12 ? with_decimals(value, decimals) : with_digits(value, 3);
}

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

std::string short_number(double value) { return std::isinf(value) ? fixed(value, 0) : with_digits(value, 3); }

}  // namespace sinter::quant
