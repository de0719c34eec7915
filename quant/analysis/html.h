#pragma once

#include <string>
#include <vector>

#include "compare.h"
#include "diagnose.h"

namespace sinter::quant {

/// One page that needs nothing else: findings, where the noise arises along the graph, and tables of activations (with
/// histograms) and weights, which a click on a column's head sorts.
std::string to_html(const Comparison& report, const std::vector<Finding>& findings = {});
/// Throws Error naming the path and the fault; then what was there before is untouched.
void write_html(const Comparison& report, const std::string& path, const std::vector<Finding>& findings = {});

}  // namespace sinter::quant
