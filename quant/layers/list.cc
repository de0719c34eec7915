#include "list.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "../../core/error.h"
#include "checks.h"

namespace sinter::quant {

#define SINTER_LAYER(name) const Layer& name##_layer();
#include "quant/layers.inc"
#undef SINTER_LAYER

namespace {

struct Registry {
  std::vector<const Layer*> all;  // a user's first
  std::string duplicate;  // an error in a static initialiser could not be caught: it is one at the first look-up

  void add(const Layer& layer, bool first) {
    for (const Layer* known : all)
      if (known->name() == layer.name()) duplicate = std::string(layer.name());
    all.insert(first ? all.begin() : all.end(), &layer);
  }
};

Registry& registry() {
  static auto& instance = *[] {
    auto* built_in = new Registry;
#define SINTER_LAYER(name) built_in->add(name##_layer(), false);
#include "quant/layers.inc"
#undef SINTER_LAYER
    return built_in;
  }();
  return instance;
}

const std::vector<const Layer*>& layers() {
  const Registry& r = registry();
  check(r.duplicate.empty(), "layer '", r.duplicate, "' was registered twice");
  return r.all;
}

}  // namespace

void detail::add_layer(std::unique_ptr<const Layer> layer) { registry().add(*layer.release(), true); }

std::vector<std::string> layer_names() {
  std::vector<std::string> names;
  for (const Layer* layer : layers()) names.emplace_back(layer->name());
  std::sort(names.begin(), names.end());
  return names;
}

const Layer& layer_named(std::string_view name) {
  for (const Layer* layer : layers())
    if (layer->name() == name) return *layer;
  fail("layer '", name, "' is unknown, expected one of: ", joined(layer_names()),
       "; one of your own is to be registered before (quant::RegisteredLayer)");
}

const Layer* layer_of(const Graph& graph, const Node& node) {
  for (const Layer* layer : layers())
    if (layer->takes(graph, node).takes) return layer;
  return nullptr;
}

bool has_scale(const Graph& graph, const Node& node) {
  const Layer* layer = layer_of(graph, node);
  return layer != nullptr && !layer->passes();
}

std::string unsupported_reason(const Graph& graph, const Node& node) {
  constexpr const char* kFloat = "; set it to float (quant::run_in_float) to keep it on the CPU";
  for (const Layer* layer : layers())
    if (const Answer answer = layer->takes(graph, node); !answer.reason.empty())
      return answer.float_helps ? answer.reason + kFloat : answer.reason;
  return text("no integer form of ", node.op->name(), " is known here", kFloat);
}

std::vector<bool> may_be_negative(const Graph& graph) {
  std::vector<bool> result;
  for (const Node& node : graph.nodes) {
    bool inputs = false;
    for (const Operand& o : node.inputs)
      inputs = inputs || (o.is_activation() && (o.kind != Operand::Kind::node || result[static_cast<size_t>(o.index)]));
    const Layer* layer = layer_of(graph, node);
    result.push_back(layer == nullptr ? node.op->name() != "softmax" : layer->may_be_negative(graph, node, inputs));
  }
  return result;
}

Instruction layer_instruction(const Lowering& from, Grid& y) {
  const Layer* layer = layer_of(from.graph, from.node);
  check(layer != nullptr, from.node.name, ": is no layer of integers");
  Instruction step;
  step.layer = std::string(layer->name());
  step.op = from.node.op;
  step.inputs.resize(from.x.size());
  std::iota(step.inputs.begin(), step.inputs.end(), 0);
  layer->lower(from, step, y);
  return step;
}

Tensor run_layer(const Running& r) { return layer_named(r.step.layer).output(r); }

}  // namespace sinter::quant
