#include "fuse.h"

#include <memory>

#include "ops/batch_norm.h"

namespace sinter {

namespace {

Graph share(const Graph& graph) {
  Graph same;
  same.inputs = graph.inputs;
  same.nodes = graph.nodes;
  for (const NamedParameter& parameter : graph.parameters)
    same.parameters.push_back({parameter.name, parameter.value.share()});
  same.constants = graph.constants;
  same.outputs = graph.outputs;
  return same;
}

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(share(graph)), readers_(graph_.consumers()) {
    for (const Operand& output : graph_.outputs)
      if (output.kind == Operand::Kind::node) readers_[output.index].push_back(kOutside);
  }

  Graph run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const std::string_view op = graph_.nodes[i].op->name();
      if (op == "add") fuse_add(static_cast<int>(i));
      if (op == "relu") fuse_relu(static_cast<int>(i));
    }
    graph_.canonicalize();
    return std::move(graph_);
  }

 private:
  static constexpr int kOutside = -1;

  // The batch normalisation that makes an operand, when nobody else reads it and it can still take something in.
  const ops::BatchNorm* norm_before(const Operand& operand) const {
    if (operand.kind != Operand::Kind::node || readers_[operand.index].size() != 1) return nullptr;
    const auto* norm = dynamic_cast<const ops::BatchNorm*>(graph_.nodes[operand.index].op.get());
    return norm != nullptr && !norm->attributes.relu ? norm : nullptr;
  }

  // The node becomes the batch normalisation before it (whose own node nobody reads from now on): at the node's place,
  // as what it adds may come later than the batch normalisation did.
  void absorb(int norm, int index) {
    Node& node = graph_.nodes[index];
    Node& before = graph_.nodes[norm];
    std::vector<std::string> aliases = std::move(before.aliases);
    aliases.push_back(std::move(node.name));
    node.name = std::move(before.name);
    node.aliases = std::move(aliases);
    node.inputs = before.inputs;
    for (const Operand& operand : node.inputs)
      if (operand.kind == Operand::Kind::node)
        for (int& reader : readers_[operand.index])
          if (reader == norm) reader = index;
  }

  void fuse_add(int index) {
    const std::vector<Operand> terms = graph_.nodes[index].inputs;
    if (!(graph_.spec(terms[0]) == graph_.spec(terms[1]))) return;  // it broadcasts
    for (const int which : {1, 0}) {
      const int norm = terms[which].index;
      if (norm_before(terms[which]) == nullptr || graph_.nodes[norm].inputs.size() != 5) continue;
      absorb(norm, index);
      graph_.nodes[index].op = graph_.nodes[norm].op;
      graph_.nodes[index].inputs.push_back(terms[1 - which]);
      return;
    }
  }

  void fuse_relu(int index) {
    const Operand x = graph_.nodes[index].inputs[0];
    const ops::BatchNorm* norm = norm_before(x);
    if (norm == nullptr) return;
    BatchNormAttributes attributes = norm->attributes;
    attributes.relu = true;
    absorb(x.index, index);
    graph_.nodes[index].op = std::make_shared<const ops::BatchNorm>(attributes);
  }

  Graph graph_;
  std::vector<std::vector<int>> readers_;  // of every node
};

}  // namespace

Graph fuse_batch_norm(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace sinter
