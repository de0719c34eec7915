#pragma once

#include <string>
#include <vector>

#include "compare.h"

namespace sinter::quant {

/// A layer that rounds inputs, weights and outputs to int8, within ranges that fit, has 31 to 39 dB alone (ResNet-20
/// after calibration); this is one bit less than the worst of them. Nodes below it are looked at.
inline constexpr double kHealthySqnr = 25;

/// One likely cause of lost accuracy.
struct Finding {
  std::string cause;
  /// Estimated share, 0..1, of the noise at the network's end. Noise of layers adds up relative to their signals: 1 /
  /// SQNR at the end is the sum of 1 / SQNR of all layers (Lin, Talathi and Annapureddy, 1511.06393). Several findings
  /// may be about the same noise.
  double share = 0;
  std::vector<std::string> nodes{};  ///< the worst first
  std::string evidence{};            ///< numbers, a line for each of the worst nodes
  std::string remedy{};
};

struct DiagnoseOptions {
  /// What `unfused_patterns` says of the graph: the node's name, and why.
  std::vector<std::string> unfused{};
};

/// Why stage b, of integers, is worse than stage a: outlier channels, saturation, ranges that few values need, unfused
/// patterns, outputs without high precision, inputs that are not symmetric, biases at their limit, dead tensors,
/// shifted means; and, where none of these explains it, the layers for which its integers are too coarse. The likely
/// effect decides the order. Empty for a healthy network.
std::vector<Finding> diagnose(const Comparison& report, const DiagnoseOptions& options = {});

/// Numbered, with evidence and remedy of each.
std::string to_string(const std::vector<Finding>& findings);

}  // namespace sinter::quant
