#include "graph.h"

#include <algorithm>
#include <set>

#include "op_work.h"
#include "table.h"

namespace sinter {

std::vector<Tensor> Graph::run(std::vector<Tensor> x, const NodeHook& hook) const {
  check(x.size() == inputs.size(), "graph: got ", x.size(), " inputs, expected ", inputs.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Spec& expected = inputs[i];
    const bool fits = x[i].defined() && x[i].dtype() == expected.dtype && x[i].rank() == expected.shape.rank() &&
                      (x[i].rank() == 0 || x[i].shape().with(0, expected.shape[0]) == expected.shape);
    check(fits, "graph: input ", i, " is ", x[i].defined() ? to_string(x[i].spec()) : "undefined", ", expected ",
          expected, " with any first axis");
  }

  std::vector<std::vector<int>> uses(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) uses[i].resize(nodes[i].outputs.size());
  std::vector<int> input_uses(inputs.size(), 0);
  const auto count = [&](const Operand& operand, int change) {
    if (operand.kind == Operand::Kind::node) return uses[operand.index][operand.output] += change;
    if (operand.kind == Operand::Kind::input) return input_uses[operand.index] += change;
    return 1;
  };
  for (const Node& node : nodes)
    for (const Operand& operand : node.inputs) count(operand, 1);
  for (const Operand& operand : outputs) count(operand, 1);

  std::vector<std::vector<Tensor>> values(nodes.size());
  const auto value = [&](const Operand& operand) -> Tensor {
    switch (operand.kind) {
      case Operand::Kind::input: {
        const bool last = count(operand, -1) == 0;
        return last ? std::move(x[operand.index]) : x[operand.index];
      }
      case Operand::Kind::node: {
        const bool last = count(operand, -1) == 0;
        Tensor& made = values[operand.index][operand.output];
        return last ? std::move(made) : made;
      }
      case Operand::Kind::parameter:
        return parameters[operand.index].value.tensor();
      case Operand::Kind::constant:
        return constants[operand.index];
    }
    fail("graph: unknown kind of operand");
  };

  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    std::vector<Tensor> operands;
    operands.reserve(node.inputs.size());
    for (const Operand& operand : node.inputs) operands.push_back(value(operand));
    const detail::NodeName name(node.name);
    try {
      values[i] = call_all(node.op, std::move(operands));
    } catch (const Error& error) {
      fail(error.what(), " (in ", node.name, ")");
    }
    if (hook) hook(i, values[i]);
  }
  std::vector<Tensor> results;
  for (const Operand& operand : outputs) results.push_back(value(operand));
  return results;
}

Tensor Graph::operator()(const Tensor& x) const {
  check(outputs.size() == 1, "graph: it has ", outputs.size(),
        " outputs, expected one; call run({x}), which gives all");
  return std::move(run({x})[0]);
}

Graph Graph::share() const {
  Graph same;
  same.inputs = inputs;
  same.nodes = nodes;
  for (const NamedParameter& parameter : parameters)
    same.parameters.push_back({parameter.name, parameter.value.share()});
  same.constants = constants;
  same.outputs = outputs;
  return same;
}

int Graph::find(const std::string& name) const {
  for (size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].name == name ||
        std::find(nodes[i].aliases.begin(), nodes[i].aliases.end(), name) != nodes[i].aliases.end())
      return static_cast<int>(i);
  return -1;
}

std::vector<std::vector<int>> Graph::consumers() const {
  std::vector<std::vector<int>> readers(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const Operand& operand : nodes[i].inputs)
      if (operand.kind == Operand::Kind::node) readers[operand.index].push_back(static_cast<int>(i));
  return readers;
}

const Spec& Graph::spec(const Operand& operand) const {
  switch (operand.kind) {
    case Operand::Kind::input:
      return inputs.at(operand.index);
    case Operand::Kind::node:
      return nodes.at(operand.index).outputs.at(operand.output);
    case Operand::Kind::parameter:
      return parameters.at(operand.index).value.tensor().spec();
    case Operand::Kind::constant:
      return constants.at(operand.index).spec();
  }
  fail("graph: unknown kind of operand");
}

std::vector<int> detail::canonical_order(const Graph& graph) {
  const std::vector<Node>& nodes = graph.nodes;
  std::vector<int> order;
  std::vector<bool> entered(nodes.size(), false);
  std::vector<std::pair<int, size_t>> stack;  // node, next operand to visit
  for (const Operand& output : graph.outputs) {
    if (output.kind != Operand::Kind::node || entered[output.index]) continue;
    entered[output.index] = true;
    stack.push_back({output.index, 0});
    while (!stack.empty()) {
      auto& [index, next] = stack.back();
      if (next == nodes[index].inputs.size()) {
        order.push_back(index);
        stack.pop_back();
        continue;
      }
      const Operand operand = nodes[index].inputs[next++];
      if (operand.kind == Operand::Kind::node && !entered[operand.index]) {
        entered[operand.index] = true;
        stack.push_back({operand.index, 0});
      }
    }
  }
  return order;
}

namespace {

// Moves the items that are asked for to a new list, in the order in which they first are.
template <class Item>
struct Selection {
  std::vector<Item>& from;
  std::vector<int> places = std::vector<int>(from.size(), -1);
  std::vector<Item> chosen{};

  int place(int index) {
    int& at = places[index];
    if (at < 0) {
      at = static_cast<int>(chosen.size());
      chosen.push_back(std::move(from[index]));
    }
    return at;
  }
};

}  // namespace

void Graph::canonicalize() {
  Selection<Node> used_nodes{nodes};
  Selection<NamedParameter> used_parameters{parameters};
  Selection<Tensor> used_constants{constants};
  const auto move = [&](Operand& operand) {
    if (operand.kind == Operand::Kind::node) operand.index = used_nodes.place(operand.index);
    if (operand.kind == Operand::Kind::parameter) operand.index = used_parameters.place(operand.index);
    if (operand.kind == Operand::Kind::constant) operand.index = used_constants.place(operand.index);
  };
  for (const int index : detail::canonical_order(*this)) {
    Node& node = used_nodes.chosen[used_nodes.place(index)];
    for (Operand& operand : node.inputs) move(operand);
  }
  for (Operand& output : outputs) move(output);
  nodes = std::move(used_nodes.chosen);
  parameters = std::move(used_parameters.chosen);
  constants = std::move(used_constants.chosen);
}

namespace {

std::string operand_name(const Graph& graph, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::input:
      return text("input", operand.index);
    case Operand::Kind::node:
      return operand.output == 0 ? graph.nodes[operand.index].name
                                 : text(graph.nodes[operand.index].name, ":", operand.output);
    case Operand::Kind::parameter:
      return graph.parameters[operand.index].name;
    case Operand::Kind::constant:
      return text("constant", operand.index);
  }
  return "?";
}

}  // namespace

std::string to_string(const Graph& graph) {
  std::string out;
  for (size_t i = 0; i < graph.inputs.size(); ++i) out += text("input", i, ": ", graph.inputs[i], "\n");
  for (const Node& node : graph.nodes) {
    out += text(node.name, " = ", node.op->name(), "(");
    std::string_view separator;
    for (const Operand& operand : node.inputs) {
      out += text(separator, operand_name(graph, operand));
      separator = ", ";
    }
    for (const Field& field : node.op->fields()) out += text("; ", field);
    out += ") ->";
    for (const Spec& spec : node.outputs) out += text(" ", spec);
    out += '\n';
  }
  out += "return";
  for (const Operand& operand : graph.outputs) out += text(" ", operand_name(graph, operand));
  return out + '\n';
}

std::string summary(const Graph& graph) {
  std::vector<std::vector<std::string>> rows{{"node", "operation", "output", "parameters", "MACs"}};
  std::set<int> counted;
  int64_t all_parameters = 0, all_macs = 0;
  for (const Node& node : graph.nodes) {
    int64_t parameters = 0;
    Specs specs;
    for (const Operand& operand : node.inputs) {
      specs.push_back(graph.spec(operand));
      if (operand.kind == Operand::Kind::parameter && graph.parameters[operand.index].value.trained() &&
          counted.insert(operand.index).second)
        parameters += specs.back().shape.elements();
    }
    const int64_t macs = node.op->macs(specs);
    all_parameters += parameters;
    all_macs += macs;
    rows.push_back(
        {node.name, std::string(node.op->name()), to_string(node.outputs[0].shape), text(parameters), text(macs)});
  }
  rows.push_back({"total", "", "", text(all_parameters), text(all_macs)});
  return detail::table(rows, 3);
}

}  // namespace sinter
