#include "calibration_v1.h"

#include <algorithm>

#include "../core/autograd.h"
#include "../core/warning.h"
#include "analysis/warnings.h"
#include "fuse.h"
#include "layers/list.h"
#include "observer_state.h"
#include "traced_network.h"

namespace sinter::quant {

QConfig get_default_calib_qconfig(const CalibQConfigOptions& options) {
  return get_default_qconfig({.activation_observer = options.observer, .activation_qkwargs = options.qkwargs});
}

namespace {

std::string observer_section(const std::string& prefix, const ActivationQuantizer& quantizer) {
  return prefix + "observers/" + quantizer.name() + "/";
}

}  // namespace

CalibrationModel::CalibrationModel(const nn::Module& model, const Specs& inputs, const QConfig& qconfig)
    : CalibrationModel(trace_network("prepare_calibration", model, inputs), qconfig) {}

CalibrationModel::CalibrationModel(const TracedNetwork& network, const QConfig& qconfig)
    : network_(std::make_shared<const TracedNetwork>(network)),  // with parameters of its own
      graph_(fuse(network_->graph)),
      input_names_(names_of_inputs(graph_)) {
  check(qconfig.activation.has_value(), "prepare_calibration: the qconfig has no observer for feature maps");
  const auto quantizer = [&](const std::string& name, bool negative) {
    return ActivationQuantizer(name, *qconfig.activation, negative, "", default_march());
  };
  for (const std::string& name : input_names_) inputs_.push_back(quantizer(name, true));
  const std::vector<bool> negative = may_be_negative(graph_);
  for (size_t i = 0; i < graph_.nodes.size(); ++i) nodes_.push_back(quantizer(graph_.nodes[i].name, negative[i]));
}

std::vector<const ActivationQuantizer*> CalibrationModel::quantizers() const {
  std::vector<const ActivationQuantizer*> all;
  for (const auto* list : {&inputs_, &nodes_})
    for (const ActivationQuantizer& quantizer : *list) all.push_back(&quantizer);
  return all;
}

std::vector<Tensor> CalibrationModel::forward_all(std::span<const Tensor> x) const {
  check(!sinter::detail::tracing(), "a model that is being calibrated is no part of another; give it to prepare_qat");
  check_inputs("calibration", graph_, input_names_, x);
  const NoGrad no_grad;
  const sinter::detail::ParameterUseScope unlisted(nullptr);  // its parameters are not for training
  return calibrate(graph_, x, [&](const Operand& operand) -> const ActivationQuantizer* {
    if (operand.kind == Operand::Kind::input) return &inputs_[operand.index];
    return graph_.nodes[operand.index].outputs[0].dtype == DType::float32 ? &nodes_[operand.index] : nullptr;
  });
}

void CalibrationModel::members(nn::MemberVisitor& visitor) const {
  for (const ActivationQuantizer* quantizer : quantizers()) {
    visitor.parameter(quantizer->name() + ".activation.range", quantizer->range_state);
    visitor.parameter(quantizer->name() + ".activation.seen", quantizer->seen_state);
  }
}

std::string CalibrationModel::title() const { return text("CalibrationModel(", quantizers().size(), " observers)"); }

void CalibrationModel::check_trainable() const {
  fail("fit: the model is being calibrated; call prepare_qat(calibrated, example, qconfig) and train what it returns");
}

void CalibrationModel::save_extra(Archive& archive, const std::string& prefix) const {
  archive.set(prefix + "calibration", to_string(inputs_[0].config()));
  archive.set(prefix + "graph", static_cast<int64_t>(fingerprint(graph_)));
  for (const ActivationQuantizer* quantizer : quantizers())
    quantizer->save(archive, observer_section(prefix, *quantizer));
}

void CalibrationModel::load_extra(const Archive& archive, const std::string& prefix) {
  check(archive.contains(prefix + "calibration"), "calibration: the file holds another kind of model");
  const std::string there = archive.text(prefix + "calibration"), here = to_string(inputs_[0].config());
  check(there == here, "calibration: the observers are ", there, " in the file and ", here, " here");
  check(archive.integer(prefix + "graph") == static_cast<int64_t>(fingerprint(graph_)),
        "calibration: the file is of another network (the fingerprints of the graphs differ)");
  std::vector<ObserverValue> loaded;  // a fault in the last one must not change the first
  for (const ActivationQuantizer* quantizer : quantizers())
    load_observer(*loaded.emplace_back(quantizer->config().make_observer()), archive,
                  observer_section(prefix, *quantizer));
  for (const ActivationQuantizer* quantizer : quantizers())
    quantizer->load(archive, observer_section(prefix, *quantizer));
}

CalibrationModel prepare_calibration(const nn::Module& model, const Tensor& example, const QConfig& qconfig) {
  return prepare_calibration(model, std::vector<Tensor>{example}, qconfig);
}

CalibrationModel prepare_calibration(const nn::Module& model, const std::vector<Tensor>& examples,
                                     const QConfig& qconfig) {
  return CalibrationModel(trace_network("prepare_calibration", model, examples), qconfig);
}

CalibrationModel prepare_calibration(const nn::Module& model, const Specs& inputs, const QConfig& qconfig) {
  return CalibrationModel(model, inputs, qconfig);
}

PreparedModel prepare_qat(const CalibrationModel& calibrated, const std::vector<Tensor>& examples,
                          const PrepareOptions& options) {
  const Specs& traced = calibrated.network().graph.inputs;
  Specs inputs = specs_of(examples, false);
  const Specs images = specs_of(examples, true);
  for (size_t i = 0; i < std::min(inputs.size(), traced.size()); ++i)
    if (images[i].shape.rank() == traced[i].shape.rank()) inputs[i] = images[i];
  return prepare_qat(calibrated, inputs, options);
}

PreparedModel prepare_qat(const CalibrationModel& calibrated, const Specs& inputs, const PrepareOptions& options) {
  const auto sources = calibrated.quantizers();
  check(std::any_of(sources.begin(), sources.end(), [](const auto* source) { return source->batches() > 0; }),
        "prepare_qat: the calibration observed nothing; run data through the model that prepare_calibration gave, "
        "first");
  const Specs& traced = calibrated.network().graph.inputs;
  check(inputs.size() == traced.size(), "prepare_qat: got ", inputs.size(), " examples, the calibration had ",
        traced.size());
  for (size_t i = 0; i < traced.size(); ++i)
    check(inputs[i].dtype == traced[i].dtype && inputs[i].shape.rank() == traced[i].shape.rank() &&
              inputs[i].shape.with(0, 1) == traced[i].shape,
          "prepare_qat: the example is ", inputs[i], ", the calibration's was ", traced[i]);
  PreparedModel model(calibrated.network(), options);
  for (const ActivationQuantizer* target : model.quantizers())
    for (const ActivationQuantizer* source : sources)
      if (source->name() == target->name() && source->batches() > 0) target->continue_from(*source);
  for (const std::string& line : calibration_warnings(model)) warn("prepare_qat: ", line);
  return model;
}

PreparedModel prepare_qat(const CalibrationModel& calibrated, const Tensor& example, const PrepareOptions& options) {
  return prepare_qat(calibrated, std::vector<Tensor>{example}, options);
}

PreparedModel prepare_qat(const CalibrationModel& calibrated, const Tensor& example, const QConfig& qconfig) {
  return prepare_qat(calibrated, example, PrepareOptions{.qconfig = qconfig});
}

}  // namespace sinter::quant
