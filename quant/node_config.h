#pragma once
// Private: which qconfig each node of a graph has.

#include <map>
#include <string>
#include <vector>

#include "../core/graph.h"
#include "qconfig.h"

namespace sinter::quant {

/// How one node, or input, is quantised, and what said so: "default", "type conv2d", "path body.3".
struct NodeConfig {
  QConfig qconfig;
  std::string activation_source = "default", weight_source = "default";
  bool activation_alone = false;  ///< a path named this node's activation itself
  bool operator==(const NodeConfig&) const = default;
};

struct NodeConfigs {
  std::vector<NodeConfig> inputs, nodes;
};

/// For every node the most specific qconfig: its path (the longest of those that name it, a module around it, or one of
/// what was fused into it), its operation's type, the whole model's. A path that ends in `.weight` or `.activation`
/// says that of one tensor. Throws Error for a path or a type that the graph does not have, with the nearest one.
NodeConfigs node_configs(const Graph& graph, const std::vector<std::string>& input_names, const QConfig& whole,
                         const std::map<std::string, QConfig>& by_type, const std::map<std::string, QConfig>& by_path);

/// Whether `path` is the name itself, or a module that the name lies in; `path#1` is the first call alone.
bool covers(const std::string& path, const std::string& name);

}  // namespace sinter::quant
