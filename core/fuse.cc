#include "fuse.h"

#include "ops/conv2d_batch_norm.h"
#include "rewrite.h"

namespace sinter {

namespace {

constexpr size_t kWithSkip = 6;  // inputs of a batch normalisation that adds

const ops::BatchNorm* open_batch_norm(const Graph& graph, int node) {
  const auto* norm = dynamic_cast<const ops::BatchNorm*>(graph.nodes[node].op.get());
  return norm != nullptr && norm->attributes.activation == "none" ? norm : nullptr;
}

void fuse_add(Rewriter& r, int node) {
  if (r.absorbed(node) || open_batch_norm(r.graph, node) == nullptr || !r.read_once(node)) return;
  const int reader = r.reader(node);
  Node &norm = r.graph.nodes[node], &add = r.graph.nodes[reader];
  if (add.op->name() != "add" || norm.inputs.size() == kWithSkip) return;
  const bool first = add.inputs[0].kind == Operand::Kind::node && add.inputs[0].index == node;
  const Operand skip = add.inputs[first ? 1 : 0];
  if (!skip.is_activation() || !(r.graph.spec(skip) == norm.outputs[0]))
    return;  // a constant's batch may not grow with x
  norm.inputs.push_back(skip);
  r.absorb(reader, node);
}

void fuse_activation(Rewriter& r, int node) {
  const ops::BatchNorm* norm = open_batch_norm(r.graph, node);
  if (r.absorbed(node) || norm == nullptr || !r.read_once(node)) return;
  const int reader = r.reader(node);
  const std::string kind(r.graph.nodes[reader].op->name());
  if (kind != "relu" && kind != "relu6") return;
  BatchNormAttributes attributes = norm->attributes;
  attributes.activation = kind;
  r.graph.nodes[node].op = std::make_shared<ops::BatchNorm>(attributes);
  r.absorb(reader, node);
}

void fuse_conv(Rewriter& r, int node) {
  const auto* conv = dynamic_cast<const ops::Conv2d*>(r.graph.nodes[node].op.get());
  if (conv == nullptr || r.graph.nodes[node].inputs.size() != 2 || !r.read_once(node)) return;
  const int reader = r.reader(node);
  const Node& after = r.graph.nodes[reader];
  const auto* norm = dynamic_cast<const ops::BatchNorm*>(after.op.get());
  const Operand self{Operand::Kind::node, node};
  if (norm == nullptr || !(after.inputs[0] == self)) return;
  const ConvAttributes& c = conv->attributes;
  const BatchNormAttributes& b = norm->attributes;
  std::vector<Operand> inputs = r.graph.nodes[node].inputs;
  inputs.insert(inputs.end(), after.inputs.begin() + 1, after.inputs.end());
  auto op = std::make_shared<ops::Conv2dBatchNorm>(
      Conv2dBatchNormAttributes{c.stride, c.padding, c.dilation, c.groups, b.eps, b.momentum, b.activation, b.frozen});
  r.absorb(reader, node);
  r.graph.nodes[node].op = std::move(op);
  r.graph.nodes[node].inputs = std::move(inputs);
}

}  // namespace

Graph fuse_batch_norm(const Graph& graph) {
  Rewriter r(graph.share());
  const int nodes = static_cast<int>(r.graph.nodes.size());
  // From the back: of two normalisations that are added, the later one takes the sum.
  for (int i = nodes - 1; i >= 0; --i) fuse_add(r, i);
  for (int i = 0; i < nodes; ++i) fuse_activation(r, i);
  for (int i = 0; i < nodes; ++i) fuse_conv(r, i);
  return r.finish();
}

}  // namespace sinter
