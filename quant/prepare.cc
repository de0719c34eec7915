#include "prepare.h"

#include <zlib.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <unordered_map>

#include "../core/autograd.h"
#include "../core/ops/batch_norm_probe.h"
#include "../core/ops/relu.h"
#include "../core/profiler.h"
#include "../core/serialize.h"
#include "../nn/freeze.h"
#include "fuse.h"
#include "fused_conv.h"
#include "integer/values.h"
#include "layers.h"
#include "listed.h"
#include "lower.h"
#include "node_config.h"
#include "observer_state.h"
#include "qat.h"
#include "runner.h"
#include "stubs.h"

namespace sinter::quant {

namespace {

std::string observer_section(const std::string& prefix, const ActivationQuantizer& quantizer) {
  return prefix + "observers/" + quantizer.name() + "/";
}

// Names that no node has: a network may have a layer called `input`.
std::vector<std::string> names_of_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    names.push_back(graph.inputs.size() == 1 ? "input" : text("input", i));
    while (graph.find(names.back()) >= 0) names.back() += "_";
  }
  return names;
}

// Takes the QuantStubs out of a graph: their scales, by input; 0 for what has none.
std::vector<double> take_stubs(Graph& graph) {
  std::vector<double> scales(graph.inputs.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto* stub = dynamic_cast<const QuantStubOp*>(graph.nodes[i].op.get());
    if (stub == nullptr) continue;
    const Operand from = graph.nodes[i].inputs[0], self{Operand::Kind::node, static_cast<int>(i)};
    check(
        from.kind == Operand::Kind::input, "prepare_qat: ", graph.nodes[i].name,
        " (QuantStub) reads no input of the network; a scale inside of it is an observer's: by_path with fixed_scale");
    double& scale = scales[from.index];
    check(scale == 0 || stub->attributes.scale == 0 || scale == stub->attributes.scale,
          "prepare_qat: an input has QuantStubs of scales ", scale, " and ", stub->attributes.scale);
    if (stub->attributes.scale != 0) scale = stub->attributes.scale;
    for (Node& node : graph.nodes)
      for (Operand& operand : node.inputs)
        if (operand == self) operand = from;
    for (Operand& operand : graph.outputs)
      if (operand == self) operand = from;
  }
  graph.canonicalize();
  return scales;
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

// The program of the model as it was when these elements had these versions.
struct PreparedModel::Lowered {
  using Versions = std::vector<std::pair<const Storage*, uint64_t>>;
  std::mutex mutex;
  Versions versions;
  std::shared_ptr<const Runner> runner;
};

PreparedModel::PreparedModel(const nn::Module& model, const Specs& inputs, const PrepareOptions& options)
    : march_(options.march ? *options.march : default_march()),
      qconfig_(options.qconfig),
      lowered_(std::make_shared<Lowered>()) {
  check(options.batch_norm == "fuse_bn" || options.batch_norm == "with_bn", "prepare_qat: batch_norm is '",
        options.batch_norm, "', expected fuse_bn or with_bn");
  check(qconfig_.activation.has_value(),
        "prepare_qat: the qconfig has no fake-quant for activations; outputs of the network are of high precision "
        "without being asked to");
  Graph traced = trace(model, with_batch_of_one(inputs));
  const std::vector<double> stubs = take_stubs(traced);
  graph_ = fuse(traced, {.fold_batch_norm = options.batch_norm == "fuse_bn"});
  input_names_ = names_of_inputs(graph_);
  NodeConfigs configs = node_configs(graph_, input_names_, qconfig_, options.by_type, options.by_path);
  for (size_t i = 0; i < stubs.size(); ++i)
    if (stubs[i] != 0 && !configs.inputs[i].activation_source.starts_with("path")) {
      configs.inputs[i].qconfig =
          get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", stubs[i]}}});
      configs.inputs[i].activation_source = "QuantStub";
    }
  check_layers(configs);
  place_quantizers(configs);
}

void PreparedModel::check_layers(const NodeConfigs& configs) {
  std::string violations;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    in_float_.push_back(configs.nodes[i].qconfig.run_in_float);
    if (!in_float_[i] && layer_of(graph_, node) == Layer::unsupported)
      violations += text("\n  ", node.name, ": ", unsupported_reason(graph_, node));
  }
  check(violations.empty(), "prepare_qat: these layers cannot be quantised:", violations);
  for (size_t i = 0; i < graph_.inputs.size(); ++i)
    check(graph_.inputs[i].dtype == DType::float32, "prepare_qat: input ", i, " is ", graph_.inputs[i],
          ", expected float32");
}

bool PreparedModel::read_as_real(const Operand& operand) const {
  for (size_t i = 0; i < graph_.nodes.size(); ++i)
    for (const Operand& read : graph_.nodes[i].inputs)
      if (read == operand && in_float_[i]) return true;
  return false;
}

void PreparedModel::place_quantizers(const NodeConfigs& configs) {
  const size_t count = graph_.nodes.size();
  const auto readers = graph_.consumers();
  std::vector<bool> is_output(count, false);
  for (const Operand& operand : graph_.outputs)
    if (operand.kind == Operand::Kind::node) is_output[operand.index] = true;
  const auto read_as_integers = [&](const Operand& operand) {
    for (size_t i = 0; i < count; ++i)
      for (const Operand& read : graph_.nodes[i].inputs)
        if (read == operand && !in_float_[i]) return true;
    return false;
  };
  // Whether what a node gives is never quantised again on its way to the outputs.
  std::vector<bool> stays_real(count, true);
  for (size_t i = count; i-- > 0;)
    for (const int reader : readers[i]) stays_real[i] = stays_real[i] && in_float_[reader] && stays_real[reader];
  const std::vector<bool> negative = may_be_negative(graph_);

  std::string violations;
  const auto violation = [&](const auto&... parts) { violations += text("\n  ", parts...); };
  const auto check_type = [&](const std::string& name, const TensorConfig& config) {
    if (config.bits == 16 && !march_.int16_activations)
      violation(name, ": int16 activations, which the ", march_, " does not have");
  };
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const NodeConfig& config = configs.inputs[i];
    const Operand self{Operand::Kind::input, static_cast<int>(i)};
    ActivationQuantizer& quantizer = input_quantizers_.emplace_back();
    bool output = false;
    for (const Operand& operand : graph_.outputs) output = output || operand == self;
    if (!read_as_integers(self) && !(output && !read_as_real(self))) continue;
    if (!config.qconfig.activation) {
      violation(input_names_[i], ": is an input, which has no accumulators to be of high precision");
      continue;
    }
    check_type(input_names_[i], *config.qconfig.activation);
    quantizer = ActivationQuantizer(input_names_[i], *config.qconfig.activation, true, config.activation_source);
  }
  weight_quantizers_.resize(graph_.parameters.size());
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph_.nodes[i];
    const NodeConfig& config = configs.nodes[i];
    const Operand self{Operand::Kind::node, static_cast<int>(i)};
    const FusedConv* conv = fused_conv(node);
    if (conv != nullptr && !in_float_[i]) {
      WeightQuantizer& weights = weight_quantizers_[node.inputs[1].index];
      const Tensor& weight = graph_.parameters[node.inputs[1].index].value;
      if (weights.name().empty())
        weights = WeightQuantizer(node.name, config.qconfig.weight, weight.size(0), config.weight_source);
    }
    const bool can_be_head =
        conv != nullptr && !in_float_[i] && skip_of(node) == nullptr && conv->activation() == Activation::none;
    const bool read = read_as_integers(self);
    const bool asked = !config.qconfig.activation.has_value();
    heads_.push_back(can_be_head && !read && (asked || ((is_output[i] || !readers[i].empty()) && stays_real[i])));
    node_quantizers_.emplace_back();
    if (asked && !in_float_[i] && !heads_[i])
      violation(node.name, ": cannot be of high precision, as ",
                read          ? "a layer of integers reads it"
                : can_be_head ? "nothing reads it"
                              : "it is no convolution or linear layer without addition and activation");
    const bool own = in_float_[i] ? read : has_scale(layer_of(graph_, node)) && !heads_[i];
    if (!own || asked) continue;
    check_type(node.name, *config.qconfig.activation);
    node_quantizers_.back() =
        ActivationQuantizer(node.name, *config.qconfig.activation, negative[i], config.activation_source);
  }
  const std::vector<DType> types = storage_types();
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph_.nodes[i];
    if (fused_conv(node) == nullptr || in_float_[i]) continue;
    const Operand& x = node.inputs[0];
    const DType type = x.kind == Operand::Kind::node ? types[x.index] : input_quantizers_[x.index].dtype();
    const Shape& weight = graph_.spec(node.inputs[1]).shape;
    const int64_t kernel = weight.elements() / weight[0];
    if (type == DType::int16 && kernel > march_.int16_kernel)
      violation(node.name, ": reads int16 with kernels of ", kernel, " weights, expected at most ",
                march_.int16_kernel);
  }
  check(violations.empty(), "prepare_qat: this qconfig does not fit the network:", violations);
  for (const ActivationQuantizer* quantizer : quantizers())
    if (quantizer->observed()) quantizer->scale(march_);  // a fixed one may be off the grid
}

// By node, the type of its integers.
std::vector<DType> PreparedModel::storage_types() const {
  std::vector<DType> types;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    if (const auto* quantizer = node_quantizer(i)) {
      types.push_back(quantizer->dtype());
    } else {
      const Operand& from = node.inputs[0];
      types.push_back(from.kind == Operand::Kind::node    ? types[from.index]
                      : from.kind == Operand::Kind::input ? input_quantizers_[from.index].dtype()
                                                          : DType::int8);
    }
  }
  return types;
}

uint32_t PreparedModel::fingerprint() const {
  const std::string structure = to_string(graph_);
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(structure.data()), static_cast<uInt>(structure.size())));
}

const ActivationQuantizer* PreparedModel::input_quantizer_or_null(size_t i) const {
  const ActivationQuantizer& quantizer = input_quantizers_.at(i);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

const ActivationQuantizer* PreparedModel::node_quantizer(size_t node) const {
  const ActivationQuantizer& quantizer = node_quantizers_.at(node);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

const WeightQuantizer* PreparedModel::weight_quantizer(size_t node) const {
  if (fused_conv(graph_.nodes.at(node)) == nullptr) return nullptr;
  const WeightQuantizer& quantizer = weight_quantizers_.at(graph_.nodes[node].inputs[1].index);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

std::vector<const ActivationQuantizer*> PreparedModel::quantizers() const {
  std::vector<const ActivationQuantizer*> all;
  for (size_t i = 0; i < graph_.inputs.size(); ++i)
    if (const auto* quantizer = input_quantizer_or_null(i)) all.push_back(quantizer);
  for (size_t i = 0; i < graph_.nodes.size(); ++i)
    if (const auto* quantizer = node_quantizer(i)) all.push_back(quantizer);
  return all;
}

void PreparedModel::replace_relu6(size_t index) {
  Node& node = graph_.nodes.at(index);
  const FusedConv* conv = fused_conv(node);
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

void PreparedModel::members(nn::MemberVisitor& visitor) const {
  for (const NamedParameter& parameter : graph_.parameters) visitor.parameter(parameter.name, parameter.value);
  const auto learned = [&](const std::string& prefix, const FakeQuantize& by, const Parameter& number) {
    if (number.defined()) visitor.parameter(text(prefix, ".", by.learned()), number);
  };
  for (const WeightQuantizer& quantizer : weight_quantizers_) {
    if (quantizer.name().empty()) continue;
    learned(quantizer.name() + ".weight", quantizer.fake_quant(), quantizer.learned);
    visitor.parameter(quantizer.name() + ".weight.frozen_scale", quantizer.frozen_state);
  }
  for (const ActivationQuantizer* quantizer : quantizers()) {
    learned(quantizer->name() + ".activation", quantizer->fake_quant(), quantizer->learned);
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

nn::Frozen PreparedModel::freezable() const {
  nn::Frozen frozen{.observers = true};
  for (const Node& node : graph_.nodes)
    if (const FusedConv* conv = fused_conv(node)) frozen.batch_norm = frozen.batch_norm || conv->attributes.batch_norm;
  frozen.scales = true;
  return frozen;
}

// The qconfig, and what of it is other for some tensors.
std::string PreparedModel::configuration() const {
  std::string all = to_string(qconfig_);
  for (const ActivationQuantizer* quantizer : quantizers())
    if (!(quantizer->config() == *qconfig_.activation)) all += text("; ", quantizer->name(), " ", quantizer->config());
  for (const WeightQuantizer& quantizer : weight_quantizers_)
    if (!quantizer.name().empty() && !(quantizer.config() == qconfig_.weight))
      all += text("; ", quantizer.name(), " weight ", quantizer.config());
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (in_float_[i]) all += text("; ", graph_.nodes[i].name, " in float");
    if (heads_[i]) all += text("; ", graph_.nodes[i].name, " in high precision");
  }
  return all;
}

void PreparedModel::save_extra(Archive& archive, const std::string& prefix) const {
  archive.set(prefix + "march", describe(march_));
  archive.set(prefix + "qconfig", configuration());
  archive.set(prefix + "graph", static_cast<int64_t>(fingerprint()));
  for (const ActivationQuantizer* quantizer : quantizers())
    save_observer(quantizer->observer(), archive, observer_section(prefix, *quantizer));
}

void PreparedModel::load_extra(const Archive& archive, const std::string& prefix) {
  const auto same = [](const char* what, const std::string& there, const std::string& here) {
    check(there == here, "prepared model: ", what, " is ", there, " in the file and ", here, " here");
  };
  same("the march", archive.text(prefix + "march"), describe(march_));
  same("the qconfig", archive.text(prefix + "qconfig"), configuration());
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
  for (size_t i = 0; i < x.size(); ++i) see(input_quantizer_or_null(i), x[i]);
  return graph_.run({x.begin(), x.end()},
                    [&](size_t node, const std::vector<Tensor>& outputs) { see(node_quantizer(node), outputs[0]); });
}

std::shared_ptr<const Runner> PreparedModel::runner() const {
  Lowered::Versions versions;
  for (const NamedParameter& state : named_state()) {
    const Storage* storage = sinter::detail::Access::storage(state.value.tensor()).get();
    versions.emplace_back(storage, storage->version());
  }
  const std::lock_guard lock(lowered_->mutex);
  if (lowered_->runner == nullptr || lowered_->versions != versions) {
    lowered_->runner = nullptr;  // its memory serves the next
    lowered_->runner = std::make_shared<const Runner>(lower(*this));
    lowered_->versions = std::move(versions);
  }
  return lowered_->runner;
}

std::vector<Tensor> PreparedModel::forward_all(std::span<const Tensor> x) const {
  check(x.size() == graph_.inputs.size(), "prepared model: got ", x.size(), " inputs, expected ", graph_.inputs.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const Shape& expected = graph_.inputs[i].shape;
    check(x[i].dtype() == DType::float32 && x[i].rank() == expected.rank() &&
              std::equal(x[i].shape().begin() + 1, x[i].shape().end(), expected.begin() + 1),
          "prepared model: ", input_names_[i], " is ", x[i].spec(), ", expected float32 ", expected,
          " with any first axis");
  }
  if (state_ == FakeQuantState::qat) {
    const nn::Frozen& frozen = nn::Freezing::now();
    const bool training = training_mode(), observe = training && !frozen.observers && !frozen.scales;
    if (!observe) check_observed("prepared model");
    const bool probed = BatchNormProbe::active() != nullptr;
    return run_qat(*this, x,
                   {.training = training,
                    .observe = observe,
                    .train_batch_norm = probed || (training && !frozen_bn_ && !frozen.batch_norm),
                    .train_scales = !frozen.scales,
                    .nans = nans_.get()});
  }
  std::vector<Tensor> outputs;
  {
    const NoGrad no_grad;
    if (state_ == FakeQuantState::calibration) {
      outputs = calibrate(x);
    } else {
      check_observed("prepared model");
      for (const Tensor& input : x) *nans_ += count_nans(input);
      outputs = runner()->run(x);
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
  return runner()->run({&x, 1}, inspector);
}

void PreparedModel::inspect_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const {
  check_observed("inspect_alone");
  const NoGrad no_grad;
  runner()->run_alone(real, inspector);
}

PreparedModel prepare_qat(const nn::Module& model, const std::vector<Tensor>& examples, const PrepareOptions& options) {
  for (const auto& [path, module] : model.modules())
    check(dynamic_cast<const PreparedModel*>(module) == nullptr,
          "prepare_qat: ", path.empty() ? std::string("the model") : path, " is prepared already");
  Specs specs;
  for (const Tensor& example : examples) {
    Shape shape = example.shape();
    if (shape.rank() == 3) shape = {1, shape[0], shape[1], shape[2]};
    specs.push_back({example.dtype(), shape});
  }
  return PreparedModel(model, specs, options);
}

PreparedModel prepare_qat(const nn::Module& model, const Tensor& example, const PrepareOptions& options) {
  return prepare_qat(model, std::vector<Tensor>{example}, options);
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
