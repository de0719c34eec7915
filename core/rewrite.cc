#include "rewrite.h"

namespace sinter {

bool Rewriter::read_once(int node) const {
  int readers = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const Operand& operand : graph.nodes[i].inputs)
      readers += operand.kind == Operand::Kind::node && operand.index == node && !absorbed(static_cast<int>(i));
  for (const Operand& operand : graph.outputs)
    if (operand.kind == Operand::Kind::node && operand.index == node) return false;
  return readers == 1;
}

int Rewriter::reader(int node) const {
  for (size_t i = 0; i < graph.nodes.size(); ++i)
    for (const Operand& operand : graph.nodes[i].inputs)
      if (operand.kind == Operand::Kind::node && operand.index == node && !absorbed(static_cast<int>(i)))
        return static_cast<int>(i);
  fail("graph: nobody reads ", graph.nodes[node].name);
}

void Rewriter::absorb(int node, int target) {
  const auto redirect = [&](Operand& operand) {
    if (operand.kind == Operand::Kind::node && operand.index == node) operand.index = target;
  };
  for (Node& reader : graph.nodes)
    for (Operand& operand : reader.inputs) redirect(operand);
  for (Operand& operand : graph.outputs) redirect(operand);
  const Node& gone = graph.nodes[node];
  auto& aliases = graph.nodes[target].aliases;
  aliases.push_back(gone.name);
  aliases.insert(aliases.end(), gone.aliases.begin(), gone.aliases.end());
  absorbed_.insert(node);
}

Graph Rewriter::finish() {
  graph.canonicalize();
  return std::move(graph);
}

}  // namespace sinter
