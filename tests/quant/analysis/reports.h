#pragma once
// Comparisons made by hand, for the tests of what is made of them.

#include <cmath>

#include "../../../quant/analysis/compare.h"
#include "../../support.h"

namespace sinter::test {

inline quant::Difference difference_of(double sqnr) {
  return {.cosine = 1 - std::pow(10, -sqnr / 10), .noise = std::pow(10, -sqnr / 10), .sqnr = sqnr};
}

/// An int8 activation with values over all of its range, and a healthy error.
inline quant::NodeComparison healthy(const std::string& node, std::vector<std::string> inputs = {}) {
  quant::NodeComparison n{.node = node, .inputs = std::move(inputs), .scale = 0.25f, .unit = 0.25, .values = 1000};
  n.accumulated = difference_of(33);
  n.local = difference_of(36);
  n.a = {.min = -30, .max = 32, .mean = 0.5, .rms = 8, .channels = 16, .widest_channel = 3, .channel_ratio = 2};
  n.b = n.a;
  n.histogram = {.low = -32, .width = 16, .a = {1, 499, 499, 1}, .b = {0, 500, 500, 0}, .alone = {0, 500, 499, 1}};
  return n;
}

/// Three activations, with names that have to be escaped.
inline quant::Comparison small_report() {
  quant::Comparison report{.a = "float & old", .b = "int8 <\"new\">", .images = 256};
  quant::NodeComparison input = healthy("input");
  input.input = true;
  input.accumulated = difference_of(30);
  input.accumulated.max_error = 0.5;
  input.accumulated.mean_error = 0.25;
  input.accumulated.saturated = 0.01;
  input.accumulated.used_levels = 0.5;
  input.local = input.accumulated;
  input.a.channel_ratio = 1.5;
  quant::NodeComparison conv = healthy("conv, \"1\"", {"input"});
  conv.accumulated = difference_of(20);
  conv.accumulated.max_error = 12.3;
  conv.accumulated.mean_error = 0.25;
  conv.accumulated.saturated = 0.125;
  conv.accumulated.used_levels = 0.75;
  conv.local = difference_of(30);
  conv.local->clipping = 1.0 / 3;
  conv.a.channel_ratio = 20;
  quant::NodeComparison head = healthy("head", {"conv, \"1\""});
  head.scale = 0;
  head.output = head.accumulators = true;
  head.accumulated = {.sqnr = INFINITY};
  head.local.reset();
  head.a.channel_ratio = 1;
  report.nodes = {input, conv, head};
  report.weights = {{.node = "conv, \"1\"",
                     .cosine = 0.998,
                     .noise = 0.001,
                     .sqnr = 30,
                     .output_ratio = 12.5,
                     .input_ratio = 3,
                     .output_channels = 16,
                     .dead_channels = 1,
                     .scale_min = 0.000123f,
                     .scale_max = 0.0312f,
                     .bias_limited = 2},
                    {.node = "head", .sqnr = INFINITY, .output_channels = 10}};
  report.only_a = {"bn"};
  report.only_b = {"x", "y"};
  return report;
}

}  // namespace sinter::test
