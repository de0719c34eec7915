#include "channels.h"

#include <algorithm>
#include <numeric>

#include "../layers/list.h"

namespace sinter::quant {

Channels::Channels(const Graph& graph) {
  for (const Spec& spec : graph.inputs) {
    inputs_.push_back(open(spec));
    pin(inputs_.back(), "an input of the network");
  }
  for (const Node& node : graph.nodes) {
    const Layer* layer = layer_of(graph, node);
    nodes_.push_back(layer == nullptr ? pinned_at(node) : layer->channels(*this, graph, node));
  }
  for (const Operand& output : graph.outputs)
    if (output.is_activation()) pin(output, "an output of the network");
}

std::vector<Channels::Ids> Channels::pinned_at(const Node& node) {
  const std::string reason = text(node.name, ": ", node.op->name(), " is not known to scale with its input");
  for (const Operand& operand : node.inputs)
    if (operand.is_activation()) pin(operand, reason);
  std::vector<Ids> all;
  for (const Spec& spec : node.outputs) pin(all.emplace_back(open(spec)), reason);
  return all;
}

const Channels::Ids& Channels::ids(const Operand& activation) const {
  return activation.kind == Operand::Kind::input ? inputs_.at(activation.index)
                                                 : nodes_.at(activation.index).at(activation.output);
}

std::vector<size_t> Channels::of(const Operand& activation) const {
  Ids classes = ids(activation);
  for (size_t& id : classes) id = root(id);
  return classes;
}

Channels::Ids Channels::open(const Spec& spec) {
  Ids fresh(static_cast<size_t>(spec.shape[spec.shape.rank() - 1]));
  std::iota(fresh.begin(), fresh.end(), parents_.size());
  parents_.insert(parents_.end(), fresh.begin(), fresh.end());
  pinned_.resize(parents_.size());
  return fresh;
}

size_t Channels::root(size_t id) const {
  while (parents_[id] != id) id = parents_[id];
  return id;
}

void Channels::tie(size_t a, size_t b) {
  a = root(a);
  b = root(b);
  if (a == b) return;
  const size_t first = std::min(a, b), other = std::max(a, b);
  parents_[other] = first;
  if (pinned_[first].empty()) pinned_[first] = pinned_[other];
}

void Channels::tie(const Ids& a, const Ids& b) {
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) tie(a[i % a.size()], b[i % b.size()]);
}

void Channels::pin(const Ids& ids, const std::string& reason) {
  for (const size_t id : ids)
    if (std::string& known = pinned_[root(id)]; known.empty()) known = reason;
}

void Channels::pin(const Operand& activation, const std::string& reason) { pin(ids(activation), reason); }

// Two channels meet where they are equal modulo the common divisor.
Channels::Ids Channels::regroup(const Ids& from, const Spec& to) {
  const auto count = static_cast<size_t>(to.shape[to.shape.rank() - 1]), common = std::gcd(from.size(), count);
  for (size_t i = common; i < from.size(); ++i) tie(from[i], from[i % common]);
  Ids regrouped;
  for (size_t i = 0; i < count; ++i) regrouped.push_back(from[i % common]);
  return regrouped;
}

}  // namespace sinter::quant
