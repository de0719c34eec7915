#include "prepare.h"

#include "../core/warning.h"
#include "analysis/warnings.h"
#include "fuse.h"
#include "fused_conv.h"
#include "layers/list.h"
#include "listed.h"
#include "node_config.h"
#include "traced_network.h"

namespace sinter::quant {

PreparedModel::PreparedModel(const nn::Module& model, const Specs& inputs, const PrepareOptions& options)
    : PreparedModel(trace_network("prepare_qat", model, inputs), options) {}

PreparedModel::PreparedModel(const TracedNetwork& network, const PrepareOptions& options)
    : march_(options.march ? *options.march : default_march(), rounding_named(options.rounding),
             power_of_two_named(options.power_of_two)),
      qconfig_(options.qconfig),
      lowered_(nothing_lowered()) {
  check(options.batch_norm == "fuse_bn" || options.batch_norm == "with_bn", "prepare_qat: batch_norm is '",
        options.batch_norm, "', expected fuse_bn or with_bn");
  march_.validate();
  check(qconfig_.activation.has_value(),
        "prepare_qat: the qconfig has no fake-quant for activations; outputs of the network are of high precision "
        "without being asked to");
  const std::vector<double>& stubs = network.stub_scales;
  graph_ = fuse(network.graph, {.fold_batch_norm = options.batch_norm == "fuse_bn"}, &untied_);
  input_names_ = names_of_inputs(graph_);
  NodeConfigs configs = node_configs(graph_, input_names_, qconfig_, options.by_type, options.by_path);
  fuse_chains(configs);
  for (size_t i = 0; i < stubs.size(); ++i)
    if (stubs[i] != 0 && !configs.inputs[i].activation_source.starts_with("path")) {
      configs.inputs[i].qconfig =
          get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", stubs[i]}}});
      configs.inputs[i].activation_source = "QuantStub";
    }
  check_layers(configs);
  place_quantizers(configs);
}

namespace {

// Why a node is none of a program, whose batch is any: its values belong to one image each. Empty: it is.
std::string mixing_reason(const Graph& graph, const Node& node) {
  const Shape& one = node.outputs[0].shape;
  Specs specs;
  for (const Operand& operand : node.inputs) {
    Spec spec = graph.spec(operand);
    if (operand.is_activation() && spec.shape.rank() > 0) {
      if (spec.shape[0] != 1) return "";  // no batch already: what made it is told of
      spec.shape = spec.shape.with(0, 2);
    }
    specs.push_back(spec);
  }
  try {
    const Shape two = node.op->infer(specs)[0].shape;
    if (one.rank() > 0 && one[0] == 1 && two == one.with(0, 2)) return "";
    return text("gives ", one, " for one image and ", two,
                " for two, expected the batch as the first axis; do this outside of the network");
  } catch (const Error& error) {
    return text("does not take a batch of two images: ", error.what(),
                "; leave the size of the batch open, as with a reshape to -1");
  }
}

}  // namespace

// What the qconfigs tell apart stays apart.
void PreparedModel::fuse_chains(NodeConfigs& configs) {
  std::map<std::string, NodeConfig> by_name;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) by_name[graph_.nodes[i].name] = configs.nodes[i];
  graph_ = quant::fuse_chains(graph_, [&](size_t i, size_t last) {
    return !configs.nodes[i].qconfig.run_in_float && configs.nodes[i] == configs.nodes[last];
  });
  configs.nodes.clear();
  for (const Node& node : graph_.nodes) configs.nodes.push_back(by_name.at(node.name));
}

void PreparedModel::check_layers(const NodeConfigs& configs) {
  Findings violations;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    const std::string mixing = mixing_reason(graph_, node);
    in_float_.push_back(configs.nodes[i].qconfig.run_in_float);
    if (node.outputs[0].dtype != DType::float32)
      violations.add(node.name, text("gives ", node.outputs[0].dtype, "; end the network before it"));
    else if (node.outputs.size() > 1)
      violations.add(node.name, text("gives ", node.outputs.size(), " results; end the network before it"));
    else if (!mixing.empty())
      violations.add(node.name, mixing);
    else if (!in_float_[i] && layer_of(graph_, node) == nullptr)
      violations.add(node.name, unsupported_reason(graph_, node));
  }
  check(violations.empty(), "prepare_qat: these layers cannot be quantised:", violations.lines());
  for (size_t i = 0; i < graph_.inputs.size(); ++i)
    check(graph_.inputs[i].dtype == DType::float32, "prepare_qat: input ", i, " is ", graph_.inputs[i],
          ", expected float32; convert it before the network");
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

  Findings violations;
  const auto check_type = [&](const std::string& name, const TensorConfig& config) {
    const std::string reason = invalid_reason(config, false);
    check(reason.empty(), "prepare_qat: ", name, ": ", reason);
    if (config.bits == 16 && !march_.int16_activations)
      violations.add(name, text("int16 activations, which the ", march_, " does not have; leave them int8"));
  };
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const NodeConfig& config = configs.inputs[i];
    const Operand self{Operand::Kind::input, static_cast<int>(i)};
    ActivationQuantizer& quantizer = input_quantizers_.emplace_back();
    bool output = false;
    for (const Operand& operand : graph_.outputs) output = output || operand == self;
    if (!read_as_integers(self) && !(output && !read_as_real(self))) continue;
    if (!config.qconfig.activation) {
      violations.add(input_names_[i],
                     "is an input, which has no accumulators to be of high precision; give its qconfig an activation "
                     "(by_path)");
      continue;
    }
    check_type(input_names_[i], *config.qconfig.activation);
    quantizer =
        ActivationQuantizer(input_names_[i], *config.qconfig.activation, true, config.activation_source, march_);
  }
  weight_quantizers_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph_.nodes[i];
    const NodeConfig& config = configs.nodes[i];
    const Operand self{Operand::Kind::node, static_cast<int>(i)};
    const FusedConv* conv = fused_conv(node);
    weights_of_.push_back(i);
    if (conv != nullptr && !in_float_[i]) {
      const std::string reason = invalid_reason(config.qconfig.weight, true);
      check(reason.empty(), "prepare_qat: ", node.name, ".weight: ", reason);
      size_t& first = weights_of_[i] = 0;
      while (first < i && (in_float_[first] || !same_weights(graph_.nodes[first], node))) ++first;
      if (first == i)
        weight_quantizers_[i] = WeightQuantizer(node.name, config.qconfig.weight, graph_.spec(node.inputs[1]).shape[0],
                                                config.weight_source, march_);
    }
    const bool can_be_head =
        conv != nullptr && !in_float_[i] && skip_of(node) == nullptr && conv->activation() == Activation::none;
    const bool read = read_as_integers(self);
    const bool asked = !config.qconfig.activation.has_value();
    heads_.push_back(can_be_head && !read &&
                     (asked || (!config.activation_alone && (is_output[i] || !readers[i].empty()) && stays_real[i])));
    node_quantizers_.emplace_back();
    if (asked && !heads_[i] && (read || !in_float_[i]))
      violations.add(node.name, text("cannot be of high precision, as ",
                                     read          ? "a layer of integers reads it"
                                     : can_be_head ? "nothing reads it"
                                                   : "it is no convolution or linear layer without addition and "
                                                     "activation",
                                     "; give its qconfig an activation (by_path)"));
    const bool own = in_float_[i] ? read : has_scale(graph_, node) && !heads_[i];
    if (!own || asked) continue;
    check_type(node.name, *config.qconfig.activation);
    node_quantizers_.back() =
        ActivationQuantizer(node.name, *config.qconfig.activation, negative[i], config.activation_source, march_);
  }
  const std::vector<DType> types = storage_types();
  for (size_t i = 0; i < count; ++i) {
    const Node& node = graph_.nodes[i];
    if (fused_conv(node) == nullptr || in_float_[i]) continue;
    const DType type = storage_type(node.inputs[0], types);
    const Shape& weight = graph_.spec(node.inputs[1]).shape;
    const int64_t kernel = weight.elements() / weight[0];
    if (type == DType::int16 && kernel > march_.int16_kernel)
      violations.add(text(node.name, " (", kernel, ")"),
                     text("int16 read by kernels of so many weights, expected at most ", march_.int16_kernel,
                          "; make what they read int8 (by_path with `.activation`), or set them to float "
                          "(quant::run_in_float)"));
  }
  check(violations.empty(), "prepare_qat: this qconfig does not fit the network:", violations.lines());
  for (const ActivationQuantizer* quantizer : quantizers())
    if (quantizer->observed()) quantizer->scale(march_);  // a fixed one may be off the grid
}

DType PreparedModel::storage_type(const Operand& operand, const std::vector<DType>& nodes) const {
  if (operand.kind == Operand::Kind::node) return nodes[operand.index];
  const auto* quantizer = operand.kind == Operand::Kind::input ? input_quantizer_or_null(operand.index) : nullptr;
  return quantizer == nullptr ? DType::float32 : quantizer->dtype();
}

// By node, the type of its elements.
std::vector<DType> PreparedModel::storage_types() const {
  std::vector<DType> types;
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    if (const auto* quantizer = node_quantizer(i)) {
      types.push_back(quantizer->dtype());
    } else if (in_float_[i]) {
      types.push_back(DType::float32);
    } else {
      types.push_back(storage_type(node.inputs[0], types));
    }
  }
  return types;
}

PreparedModel prepare_qat(const nn::Module& model, const std::vector<Tensor>& examples, const PrepareOptions& options) {
  return PreparedModel(trace_network("prepare_qat", model, examples), options);
}

PreparedModel prepare_qat(const nn::Module& model, const Specs& inputs, const PrepareOptions& options) {
  return PreparedModel(model, inputs, options);
}

PreparedModel prepare_qat(const nn::Module& model, const Tensor& example, const PrepareOptions& options) {
  return prepare_qat(model, std::vector<Tensor>{example}, options);
}

void set_fake_quantize(PreparedModel& model, FakeQuantState state) {
  if (model.state() == FakeQuantState::calibration && state != FakeQuantState::calibration)
    for (const std::string& line : calibration_warnings(model)) warn("set_fake_quantize: ", line);
  model.set_state(state);
}

}  // namespace sinter::quant
