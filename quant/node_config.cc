#include "node_config.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "../core/nearest.h"
#include "fused_conv.h"

namespace sinter::quant {

namespace {

bool names(const std::string& path, const Node& node) {
  return covers(path, node.name) || std::any_of(node.aliases.begin(), node.aliases.end(),
                                                [&](const std::string& alias) { return covers(path, alias); });
}

// The part of the path that names nodes, and which tensor of them it says: "" for all.
std::pair<std::string, std::string> split_path(const std::string& path) {
  for (const char* tensor : {"weight", "activation"})
    if (path.ends_with(std::string(".") + tensor))
      return {path.substr(0, path.size() - std::string(tensor).size() - 1), tensor};
  return {path, ""};
}

// Every path that names something: nodes, aliases and the modules around them.
std::vector<std::string> known_paths(const Graph& graph, const std::vector<std::string>& inputs) {
  std::set<std::string> all(inputs.begin(), inputs.end());
  const auto add = [&](const std::string& name) {
    all.insert(name);
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      all.insert(name.substr(0, dot));
  };
  for (const Node& node : graph.nodes) {
    add(node.name);
    for (const std::string& alias : node.aliases) add(alias);
  }
  return {all.begin(), all.end()};
}

void apply(NodeConfig& config, const QConfig& qconfig, const std::string& tensor, const std::string& source) {
  if (tensor != "weight") {
    config.qconfig.activation = qconfig.activation;
    config.activation_source = source;
    config.activation_alone = tensor == "activation";
  }
  if (tensor != "activation") {
    config.qconfig.weight = qconfig.weight;
    config.weight_source = source;
  }
  if (tensor.empty()) config.qconfig.run_in_float = qconfig.run_in_float;
}

// What one entry of by_path is about.
struct Choice {
  std::string path, name, tensor;
  const QConfig* qconfig;
  std::vector<size_t> inputs, nodes;

  bool find(const Graph& graph, const std::vector<std::string>& input_names) {
    for (size_t i = 0; i < input_names.size(); ++i)
      if (input_names[i] == name) inputs.push_back(i);
    for (size_t i = 0; i < graph.nodes.size(); ++i)
      if (names(name, graph.nodes[i])) nodes.push_back(i);
    return !inputs.empty() || !nodes.empty();
  }
};

Choice choice_of(const Graph& graph, const std::vector<std::string>& input_names, const std::string& path,
                 const QConfig& qconfig) {
  Choice choice{path, path, "", &qconfig, {}, {}};
  if (choice.find(graph, input_names)) return choice;
  std::tie(choice.name, choice.tensor) = split_path(path);
  check(!choice.tensor.empty() && choice.find(graph, input_names), "prepare_qat: by_path '", path,
        "' names no module and no node", did_you_mean(path, known_paths(graph, input_names)));
  check(!qconfig.run_in_float, "prepare_qat: by_path '", path,
        "' is one tensor, but run_in_float is for an operation; leave '.", choice.tensor, "' out");
  const bool weights = std::any_of(choice.nodes.begin(), choice.nodes.end(),
                                   [&](size_t i) { return fused_conv(graph.nodes[i]) != nullptr; });
  check(choice.tensor != "weight" || weights, "prepare_qat: by_path '", path, "': ", choice.name, " has no weights");
  const auto owner = [&](size_t node) {  // the first with these weights
    size_t first = 0;
    while (first < node && !same_weights(graph.nodes[first], graph.nodes[node])) ++first;
    return first;
  };
  if (choice.tensor == "weight" && choice.nodes.size() == 1 && owner(choice.nodes[0]) != choice.nodes[0])
    fail("prepare_qat: by_path '", path, "': ", choice.name, " has the weights of ",
         graph.nodes[owner(choice.nodes[0])].name, "; name those");
  return choice;
}

}  // namespace

bool covers(const std::string& path, const std::string& name) {
  if (path.ends_with("#1")) return name == path.substr(0, path.size() - 2);
  return name.starts_with(path) && (name.size() == path.size() || name[path.size()] == '.' || name[path.size()] == '#');
}

NodeConfigs node_configs(const Graph& graph, const std::vector<std::string>& input_names, const QConfig& whole,
                         const std::map<std::string, QConfig>& by_type, const std::map<std::string, QConfig>& by_path) {
  NodeConfigs configs{std::vector<NodeConfig>(input_names.size(), {whole}),
                      std::vector<NodeConfig>(graph.nodes.size(), {whole})};
  for (const auto& [type, qconfig] : by_type) {
    std::set<std::string> types;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      types.emplace(graph.nodes[i].op->name());
      if (graph.nodes[i].op->name() == type) apply(configs.nodes[i], qconfig, "", "type " + type);
    }
    check(types.count(type) > 0, "prepare_qat: by_type '", type, "': the network has no such operation, but ",
          joined({types.begin(), types.end()}), "; what is fused into a layer has that one's");
  }
  std::vector<Choice> choices;
  for (const auto& [path, qconfig] : by_path) choices.push_back(choice_of(graph, input_names, path, qconfig));
  // Shorter names first: longer ones are more specific, and so is one tensor of a node.
  std::stable_sort(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
    return std::pair(a.name.size(), a.tensor.size()) < std::pair(b.name.size(), b.tensor.size());
  });
  for (const Choice& choice : choices) {
    for (const size_t i : choice.inputs)
      apply(configs.inputs[i], *choice.qconfig, choice.tensor, "path " + choice.path);
    for (const size_t i : choice.nodes) apply(configs.nodes[i], *choice.qconfig, choice.tensor, "path " + choice.path);
  }
  return configs;
}

}  // namespace sinter::quant
