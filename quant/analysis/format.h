#pragma once
// Private: numbers of reports.

#include <string>

namespace sinter::quant {

/// `12.30`; `inf`, `-inf`.
std::string fixed(double value, int decimals);
/// A share as percent: `12.3 %`.
std::string percent(double share);
/// Three digits that count, for values of any size: `1.23`, `0.000123`, `1.2e+06`.
std::string short_number(double value);

}  // namespace sinter::quant
