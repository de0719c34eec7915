#include "prepare.h"

#include <zlib.h>

#include <atomic>
#include <cstdio>
#include <unordered_map>

#include "../core/op_work.h"
#include "../core/ops/relu.h"
#include "../core/serialize.h"
#include "fuse.h"
#include "fused_conv.h"
#include "layers.h"
#include "observer_state.h"
#include "ops/add.h"
#include "ops/conv.h"
#include "ops/input.h"
#include "ops/mean.h"
#include "ops/pass_through.h"

namespace sinter::quant {

namespace {

constexpr size_t kMaxListed = 12;  // names in one message

std::string observer_section(const std::string& prefix, const ActivationQuantizer& quantizer) {
  return prefix + "observers/" + quantizer.name() + "/";
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kMaxListed); ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMaxListed) out += text(" and ", names.size() - kMaxListed, " more");
  return out;
}

// A name that no node has: a network may have a layer called `input`.
std::string input_name(const Graph& graph, size_t i) {
  std::string name = graph.inputs.size() == 1 ? "input" : text("input", i);
  while (graph.find(name) >= 0) name += "_";
  return name;
}

// The batch is symbolic: whatever the example's, it must not show in the graph.
Specs with_batch_of_one(Specs inputs) {
  for (Spec& spec : inputs)
    if (spec.shape.rank() > 0) spec.shape = spec.shape.with(0, 1);
  return inputs;
}

// The output of a model that cannot be trained in its state: backward says so.
struct Untrainable final : Op {
  FakeQuantState state;
  explicit Untrainable(FakeQuantState s) : state(s) {}
  std::string_view name() const override { return "prepared model"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs, Outputs, Context&) const override {}
  void backward(const Context&, Outputs, Gradients&) const override {
    fail("backward: the prepared model ran in FakeQuantState::", state,
         ", which has no gradients; call set_fake_quantize(model, FakeQuantState::qat) before training");
  }
  Aliasing aliasing() const override { return Aliasing::view; }
};

// One integer tensor on its way through the graph.
struct Value {
  Tensor tensor;  // int8; float32 for heads
  Grid grid;
};

}  // namespace

std::string to_string(FakeQuantState state) {
  switch (state) {
    case FakeQuantState::calibration:
      return "calibration";
    case FakeQuantState::qat:
      return "qat";
    case FakeQuantState::validation:
      return "validation";
  }
  return "unknown";
}

PreparedModel::PreparedModel(const nn::Module& model, const Specs& inputs, const PrepareOptions& options)
    : graph_(fuse(trace(model, with_batch_of_one(inputs)))),
      march_(options.march ? *options.march : default_march()),
      qconfig_(options.qconfig) {
  check(qconfig_.activation.has_value(),
        "prepare_qat: the qconfig has no fake-quant for activations; outputs of the network are of high precision "
        "without being asked to");
  std::string violations;
  for (const Node& node : graph_.nodes)
    if (layer_of(graph_, node) == Layer::unsupported)
      violations += text("\n  ", node.name, ": ", unsupported_reason(graph_, node));
  check(violations.empty(), "prepare_qat: these layers cannot be quantised:", violations);
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    check(graph_.inputs[i].dtype == DType::float32, "prepare_qat: input ", i, " is ", graph_.inputs[i],
          ", expected float32");
    input_quantizers_.emplace_back(input_name(graph_, i), *qconfig_.activation);
  }
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    if (has_scale(layer_of(graph_, node)) && !is_head(i))
      node_quantizers_.emplace_back(node.name, *qconfig_.activation);
    else
      node_quantizers_.emplace_back();
  }
  for (const ActivationQuantizer* quantizer : quantizers())
    if (quantizer->observed()) quantizer->scale(march_);  // a fixed one may be off the grid
}

uint32_t PreparedModel::fingerprint() const {
  const std::string structure = to_string(graph_);
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(structure.data()), static_cast<uInt>(structure.size())));
}

const ActivationQuantizer* PreparedModel::node_quantizer(size_t node) const {
  const ActivationQuantizer& quantizer = node_quantizers_.at(node);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

std::vector<const ActivationQuantizer*> PreparedModel::quantizers() const {
  std::vector<const ActivationQuantizer*> all;
  for (const auto& quantizer : input_quantizers_) all.push_back(&quantizer);
  for (size_t i = 0; i < graph_.nodes.size(); ++i)
    if (const auto* quantizer = node_quantizer(i)) all.push_back(quantizer);
  return all;
}

bool PreparedModel::is_head(size_t node) const {
  if (layer_of(graph_, graph_.nodes[node]) != Layer::conv || graph_.nodes[node].inputs.size() == 4) return false;
  const auto* conv = static_cast<const FusedConv*>(graph_.nodes[node].op.get());
  if (conv->activation() != Activation::none) return false;
  bool output = false;
  for (const Operand& operand : graph_.outputs)
    output = output || (operand.kind == Operand::Kind::node && operand.index == static_cast<int>(node));
  return output && graph_.consumers()[node].empty();
}

void PreparedModel::replace_relu6(size_t index) {
  Node& node = graph_.nodes.at(index);
  const auto* conv = dynamic_cast<const FusedConv*>(node.op.get());
  const bool fused = conv != nullptr && conv->activation() == Activation::relu6;
  check(fused || node.op->name() == "relu6", "replace_relu6: ", node.name, " has no ReLU6");
  if (!fused) {
    node.op = std::make_shared<ops::Relu>();
    return;
  }
  FusedConvAttributes attributes = conv->attributes;
  attributes.activation = "relu";
  node.op = std::make_shared<FusedConv>(attributes);
}

std::vector<std::string> PreparedModel::warnings() const {
  std::vector<std::string> all;
  const auto warn_clipped = [&](const std::string& what, const Observer& observer, const Range& range) {
    const float wanted = scale_from_range(range.min, range.max), reach = std::max(-range.min, range.max);
    const auto fixed = observer.fixed_scale();
    const float scale = fixed ? *fixed : march_.on_grid(wanted);
    // A fixed scale of 1/128 for images within +-1 is meant so: one unit beyond the integers passes.
    if (fixed ? reach > 128 * scale : march_.clips(wanted))
      all.push_back(text(what, ": its values reach ", reach, ", but ",
                         fixed ? std::string("its fixed scale") : text("the largest scale of ", march_), ", ", scale,
                         ", saturates at ", 127 * scale));
  };
  for (const ActivationQuantizer* quantizer : quantizers())
    if (quantizer->observed()) warn_clipped(quantizer->name(), quantizer->observer(), quantizer->range());
  const ObserverValue fresh = qconfig_.weight.make_observer();
  for (const Node& node : graph_.nodes) {
    if (layer_of(graph_, node) != Layer::conv) continue;
    const Tensor& weight = graph_.parameters[node.inputs[1].index].value;
    for (int64_t o = 0; o < weight.size(0); ++o) {
      const ObserverValue observer = fresh;
      warn_clipped(text(node.name, ": weights of output channel ", o), *observer,
                   observer->observe(Samples::channel(weight, o)));
    }
  }
  if (nans() > 0) all.push_back(text(nans(), " input values were NaN and were taken as 0"));
  return all;
}

void PreparedModel::members(nn::MemberVisitor& visitor) const {
  for (const NamedParameter& parameter : graph_.parameters) visitor.parameter(parameter.name, parameter.value);
  for (const ActivationQuantizer* quantizer : quantizers()) {
    visitor.parameter(quantizer->name() + ".activation.range", quantizer->range_state);
    visitor.parameter(quantizer->name() + ".activation.seen", quantizer->seen_state);
  }
}

std::string PreparedModel::title() const {
  char fingerprint_text[16];
  std::snprintf(fingerprint_text, sizeof fingerprint_text, "%08x", fingerprint());
  return text("PreparedModel(", march_, ", ", qconfig_, ", graph ", std::string(fingerprint_text), ")");
}

void PreparedModel::check_trainable() const {
  check(state_ == FakeQuantState::qat, "fit: the prepared model is in FakeQuantState::", state_,
        "; call set_fake_quantize(model, FakeQuantState::qat) before training");
}

void PreparedModel::save_extra(Archive& archive, const std::string& prefix) const {
  archive.set(prefix + "march", describe(march_));
  archive.set(prefix + "qconfig", to_string(qconfig_));
  archive.set(prefix + "graph", static_cast<int64_t>(fingerprint()));
  for (const ActivationQuantizer* quantizer : quantizers())
    save_observer(quantizer->observer(), archive, observer_section(prefix, *quantizer));
}

void PreparedModel::load_extra(const Archive& archive, const std::string& prefix) {
  const auto same = [](const char* what, const std::string& there, const std::string& here) {
    check(there == here, "prepared model: ", what, " is ", there, " in the file and ", here, " here");
  };
  same("the march", archive.text(prefix + "march"), describe(march_));
  same("the qconfig", archive.text(prefix + "qconfig"), to_string(qconfig_));
  check(archive.integer(prefix + "graph") == static_cast<int64_t>(fingerprint()),
        "prepared model: the file is of another network (the fingerprints of the graphs differ)");
  const auto all = quantizers();
  std::vector<ObserverValue> loaded;  // a fault in the last one must not change the first
  for (const ActivationQuantizer* quantizer : all)
    load_observer(*loaded.emplace_back(quantizer->config().make_observer()), archive,
                  observer_section(prefix, *quantizer));
  for (const ActivationQuantizer* quantizer : all)
    load_observer(quantizer->observer(), archive, observer_section(prefix, *quantizer));
}

void PreparedModel::check_observed(const char* what) const {
  std::vector<std::string> missing;
  for (const ActivationQuantizer* quantizer : quantizers())
    if (!quantizer->observed()) missing.push_back(quantizer->name());
  check(missing.empty(), what, ": nothing was observed for ", listed(missing),
        "; run data through the model in FakeQuantState::calibration, or call load_observer_params from a calibrated "
        "model, first");
}

std::vector<Tensor> PreparedModel::calibrate(std::span<const Tensor> x) const {
  // Test data must not reach the scales: `evaluate` runs models under a ModeOverride.
  const bool observe = !nn::ModeOverride::active();
  const TrainingMode evaluation(false);
  const auto see = [&](const ActivationQuantizer* quantizer, const Tensor& value) {
    if (!observe || quantizer == nullptr || value.elements() == 0) return;
    const Profiler::Scope scope("observe");
    quantizer->observe(Samples(value));
  };
  for (size_t i = 0; i < x.size(); ++i) see(&input_quantizers_[i], x[i]);
  return graph_.run({x.begin(), x.end()},
                    [&](size_t node, const std::vector<Tensor>& outputs) { see(node_quantizer(node), outputs[0]); });
}

std::vector<Tensor> PreparedModel::run_integers(std::span<const Tensor> x, const Pass& pass) const {
  std::vector<Value> inputs, values(graph_.nodes.size());
  for (size_t i = 0; i < x.size(); ++i) {
    QuantizeInput op;
    op.node = input_quantizers_[i].name();
    op.output = &input_quantizers_[i];
    op.pass = &pass;
    op.nans = nans_.get();
    const sinter::detail::NodeName name(op.node);
    Tensor q = call(op, x[i]);
    inputs.push_back({std::move(q), {input_quantizers_[i].scale(march_), {}}});
  }
  const auto value = [&](const Operand& operand) -> const Value& {
    return operand.kind == Operand::Kind::input ? inputs[operand.index] : values[operand.index];
  };
  std::vector<int> readers(graph_.nodes.size(), 0);
  for (const Node& node : graph_.nodes)
    for (const Operand& operand : node.inputs)
      if (operand.kind == Operand::Kind::node) ++readers[operand.index];
  for (const Operand& operand : graph_.outputs)
    if (operand.kind == Operand::Kind::node) ++readers[operand.index];

  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    const sinter::detail::NodeName name(node.name);
    const Value& in = value(node.inputs[0]);
    const ActivationQuantizer* quantizer = node_quantizer(i);
    Value out;
    switch (layer_of(graph_, node)) {
      case Layer::conv: {
        const auto& fused = static_cast<const FusedConv&>(*node.op);
        QuantizedConv op;
        op.node = node.name;
        op.conv = fused.attributes;
        op.activation = fused.activation();
        op.weight_config = qconfig_.weight;
        op.output = quantizer;
        op.x = in.grid;
        op.pass = &pass;
        const Tensor& weight = graph_.parameters[node.inputs[1].index].value;
        const Tensor& bias = graph_.parameters[node.inputs[2].index].value;
        if (node.inputs.size() == 4) {
          const Value& skip = value(node.inputs[3]);
          op.skip = skip.grid;
          out.tensor = call(op, in.tensor, weight, bias, skip.tensor);
        } else {
          out.tensor = call(op, in.tensor, weight, bias);
        }
        if (quantizer != nullptr) {
          out.grid.scale = quantizer->scale(march_);
          out.grid.bounds = output_bounds(op.activation, out.grid.scale, march_.rounding);
        }
        break;
      }
      case Layer::add: {
        const Value& other = value(node.inputs[1]);
        QuantizedAdd op;
        op.node = node.name;
        op.a = in.grid;
        op.b = other.grid;
        op.output = quantizer;
        op.pass = &pass;
        out.tensor = call(op, in.tensor, other.tensor);
        out.grid.scale = quantizer->scale(march_);
        break;
      }
      case Layer::mean: {
        QuantizedMean op;
        op.node = node.name;
        op.keep = node.outputs[0].shape.rank() == 4;
        op.x = in.grid;
        op.output = quantizer;
        op.pass = &pass;
        out.tensor = call(op, in.tensor);
        out.grid.scale = quantizer->scale(march_);
        break;
      }
      case Layer::clamp: {
        QuantizedClamp op;
        op.node = node.name;
        op.activation = node.op->name() == "relu6" ? Activation::relu6 : Activation::relu;
        op.scale = in.grid.scale;
        op.bounds = output_bounds(op.activation, in.grid.scale, march_.rounding);
        op.pass = &pass;
        out.tensor = call(op, in.tensor);
        out.grid = {in.grid.scale, op.bounds};
        break;
      }
      case Layer::moves: {
        OnIntegers op;
        op.node = node.name;
        op.op = node.op;
        op.pass = &pass;
        out.tensor = call(op, in.tensor);
        out.grid = in.grid;
        break;
      }
      case Layer::unsupported:
        fail(node.name, ": cannot be quantised");
    }
    values[i] = std::move(out);
    for (const Operand& operand : node.inputs)
      if (operand.kind == Operand::Kind::node && --readers[operand.index] == 0) values[operand.index].tensor = {};
  }

  std::vector<Tensor> outputs;
  for (const Operand& operand : graph_.outputs) {
    const Value& out = value(operand);
    if (out.tensor.dtype() == DType::float32) {
      outputs.push_back(out.tensor);
      continue;
    }
    Dequantize op;
    op.scale = out.grid.scale;
    outputs.push_back(call(op, out.tensor));
  }
  return outputs;
}

std::vector<Tensor> PreparedModel::forward_all(std::span<const Tensor> x) const {
  check(x.size() == graph_.inputs.size(), "prepared model: got ", x.size(), " inputs, expected ", graph_.inputs.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Shape& expected = graph_.inputs[i].shape;
    check(x[i].dtype() == DType::float32 && x[i].rank() == expected.rank() &&
              std::equal(x[i].shape().begin() + 1, x[i].shape().end(), expected.begin() + 1),
          "prepared model: ", input_quantizers_[i].name(), " is ", x[i].spec(), ", expected float32 ", expected,
          " with any first axis");
  }
  if (state_ == FakeQuantState::qat) {
    const bool observe = training_mode();
    if (!observe) check_observed("prepared model");
    const Pass pass{&march_, observe, nullptr};
    return run_integers(x, pass);
  }
  std::vector<Tensor> outputs;
  {
    const NoGrad no_grad;
    if (state_ == FakeQuantState::calibration) {
      outputs = calibrate(x);
    } else {
      check_observed("prepared model");
      const Pass pass{&march_, false, nullptr};
      outputs = run_integers(x, pass);
    }
  }
  if (!grad_enabled()) return outputs;
  for (Tensor& y : outputs) {
    std::vector<Tensor> operands{y};
    for (const NamedParameter& parameter : graph_.parameters)
      if (parameter.value.trained()) {
        operands.push_back(parameter.value);
        break;
      }
    y = call_all(std::make_shared<Untrainable>(state_), std::move(operands))[0];
  }
  return outputs;
}

std::vector<Tensor> PreparedModel::inspect(const Tensor& x, const Inspector& inspector) const {
  check_observed("inspect");
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  const Pass pass{&march_, false, inspector};
  return run_integers({&x, 1}, pass);
}

PreparedModel prepare_qat(const nn::Module& model, const Tensor& example, const PrepareOptions& options) {
  for (const auto& [path, module] : model.modules())
    check(dynamic_cast<const PreparedModel*>(module) == nullptr,
          "prepare_qat: ", path.empty() ? std::string("the model") : path, " is prepared already");
  Shape shape = example.shape();
  if (shape.rank() == 3) shape = {1, shape[0], shape[1], shape[2]};
  return PreparedModel(model, {{example.dtype(), shape}}, options);
}

void set_fake_quantize(PreparedModel& model, FakeQuantState state) { model.set_state(state); }

std::string to_string(const LoadedObservers& report) {
  std::string out = text("loaded ", report.loaded.size(), " observers");
  if (!report.only_from.empty()) out += "; not found in the target: " + listed(report.only_from);
  if (!report.only_to.empty()) out += "; not observed in the source: " + listed(report.only_to);
  if (report.other_march) out += "; the marches differ, scales are on the target's grid";
  return out;
}

LoadedObservers load_observer_params(const PreparedModel& from, PreparedModel& to) {
  LoadedObservers report;
  report.other_march = !(from.march() == to.march());
  std::unordered_map<std::string, const ActivationQuantizer*> sources;
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (quantizer->batches() > 0) sources[quantizer->name()] = quantizer;
  check(!sources.empty(),
        "load_observer_params: the first model observed nothing; are the arguments swapped, or was it "
        "never run in FakeQuantState::calibration?");
  for (const ActivationQuantizer* target : to.quantizers()) {
    const auto found = sources.find(target->name());
    if (found == sources.end()) {
      report.only_to.push_back(target->name());
      continue;
    }
    target->continue_from(*found->second);
    report.loaded.push_back(target->name());
    sources.erase(found);
  }
  for (const ActivationQuantizer* quantizer : from.quantizers())
    if (sources.count(quantizer->name())) report.only_from.push_back(quantizer->name());
  check(!report.loaded.empty(), "load_observer_params: no tensor of one model is in the other; the first has ",
        listed(report.only_from), ", the second ", listed(report.only_to));
  return report;
}

}  // namespace sinter::quant
