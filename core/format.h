#pragma once
// Private: numbers as text for tables and pages, with a point whatever the user's locale.

#include <string>

namespace sinter {

/// So many digits behind the point: `12.30`.
std::string with_decimals(double value, int decimals);
/// So many digits that count, without zeros at their end: `1.23`, `0.000123`, `1.2e+06`.
std::string with_digits(double value, int digits);

}  // namespace sinter
