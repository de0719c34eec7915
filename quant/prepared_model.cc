#include <atomic>
#include <cstdio>
#include <mutex>

#include "../core/autograd.h"
#include "../core/ops/batch_norm_probe.h"
#include "../core/ops/relu.h"
#include "../core/serialize.h"
#include "../nn/freezing.h"
#include "fused_conv.h"
#include "integer/values.h"
#include "listed.h"
#include "lower.h"
#include "observer_state.h"
#include "prepare.h"
#include "qat.h"
#include "runner.h"
#include "traced_network.h"

namespace sinter::quant {

namespace {

std::string observer_section(const std::string& prefix, const ActivationQuantizer& quantizer) {
  return prefix + "observers/" + quantizer.name() + "/";
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

// The program of the model as it was when these elements had these stamps.
struct PreparedModel::Lowered {
  using Stamps = std::vector<std::pair<uint64_t, Storage::Stamp>>;  // of a storage: its id and stamp
  std::mutex mutex;
  Stamps stamps;
  std::shared_ptr<const Runner> runner;
};

std::shared_ptr<PreparedModel::Lowered> PreparedModel::nothing_lowered() { return std::make_shared<Lowered>(); }

uint32_t PreparedModel::fingerprint() const { return sinter::quant::fingerprint(graph_); }

const ActivationQuantizer* PreparedModel::input_quantizer_or_null(size_t i) const {
  const ActivationQuantizer& quantizer = input_quantizers_.at(i);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

const ActivationQuantizer* PreparedModel::node_quantizer(size_t node) const {
  const ActivationQuantizer& quantizer = node_quantizers_.at(node);
  return quantizer.name().empty() ? nullptr : &quantizer;
}

const WeightQuantizer* PreparedModel::weight_quantizer(size_t node) const {
  const WeightQuantizer& quantizer = weight_quantizers_[weights_of_.at(node)];
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
  lowered_ = nothing_lowered();
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
  return text("PreparedModel(", describe(march_), ", ", qconfig_, ", graph ", std::string(fingerprint_text), ")");
}

void PreparedModel::check_trainable() const {
  check(state_ == FakeQuantState::qat, "fit: the prepared model is in FakeQuantState::", state_,
        "; call set_fake_quantize(model, FakeQuantState::qat) before training");
}

nn::Frozen PreparedModel::freezable() const {
  nn::Frozen frozen{.observers = true};
  for (const Node& node : graph_.nodes) {
    const FusedConv* conv = fused_conv(node);
    if (conv != nullptr ? conv->attributes.batch_norm : node.op->name() == "batch_norm") frozen.batch_norm = true;
  }
  frozen.scales = true;
  return frozen;
}

// The qconfig, and what of it is other for some tensors; with what fields say beside the keywords.
std::string PreparedModel::configuration() const {
  const auto whole = [](const TensorConfig& config) {
    return text(config, " int", config.bits, " averaging ", config.averaging_constant,
                config.warm_up ? "" : " without warm-up");
  };
  std::string all = text("activation ", whole(*qconfig_.activation), ", weight ", whole(qconfig_.weight));
  for (const ActivationQuantizer* quantizer : quantizers())
    if (!(quantizer->config() == *qconfig_.activation))
      all += text("; ", quantizer->name(), " ", whole(quantizer->config()));
  for (const WeightQuantizer& quantizer : weight_quantizers_)
    if (!quantizer.name().empty() && !(quantizer.config() == qconfig_.weight))
      all += text("; ", quantizer.name(), " weight ", whole(quantizer.config()));
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const FusedConv* conv = fused_conv(graph_.nodes[i]);
    if (conv != nullptr && conv->attributes.batch_norm) all += text("; ", graph_.nodes[i].name, " with_bn");
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
    quantizer->save(archive, observer_section(prefix, *quantizer));
}

void PreparedModel::load_extra(const Archive& archive, const std::string& prefix) {
  const auto same = [](const char* what, const std::string& there, const std::string& here) {
    check(there == here, "prepared model: ", what, " is ", there, " in the file and ", here, " here");
  };
  check(archive.contains(prefix + "march"),
        "prepared model: the file holds another kind of model; a float network's is loaded by nn::load before "
        "prepare_qat");
  const std::string& march = archive.text(prefix + "march");
  check(march.find("; multipliers of ") == std::string::npos,
        "prepared model: the file is of a version whose integers were other ones than the chips' (one multiplier "
        "everywhere, powers of two on bernoulli2); load the float network's file, and calibrate again");
  same("the march", march, describe(march_));
  same("the qconfig", archive.text(prefix + "qconfig"), configuration());
  check(archive.integer(prefix + "graph") == static_cast<int64_t>(fingerprint()),
        "prepared model: the file is of another network (the fingerprints of the graphs differ)");
  const auto all = quantizers();
  std::vector<ObserverValue> loaded;  // a fault in the last one must not change the first
  for (const ActivationQuantizer* quantizer : all)
    load_observer(*loaded.emplace_back(quantizer->config().make_observer()), archive,
                  observer_section(prefix, *quantizer));
  for (const ActivationQuantizer* quantizer : all) quantizer->load(archive, observer_section(prefix, *quantizer));
}

void PreparedModel::check_observed(const char* what) const {
  std::vector<std::string> missing;
  for (const ActivationQuantizer* quantizer : quantizers())
    if (!quantizer->observed()) missing.push_back(quantizer->name());
  check(missing.empty(), what, ": nothing was observed for ", listed(missing),
        "; run data through the model in FakeQuantState::calibration, or call load_observer_params from a calibrated "
        "model, first (evaluate observes nothing)");
}

std::shared_ptr<const Runner> PreparedModel::runner() const {
  Lowered::Stamps stamps;
  const auto stamp = [&](const Tensor& tensor) {
    const auto& storage = sinter::detail::Access::storage(tensor);
    stamps.emplace_back(storage->id(), storage->stamp());
  };
  for (const NamedParameter& state : named_state()) stamp(state.value.tensor());
  for (const Tensor& constant : graph_.constants) stamp(constant);
  const std::lock_guard lock(lowered_->mutex);
  if (lowered_->runner == nullptr || lowered_->stamps != stamps) {
    lowered_->runner = nullptr;  // its memory serves the next
    lowered_->runner = std::make_shared<const Runner>(lower(*this));
    lowered_->stamps = std::move(stamps);
  }
  return lowered_->runner;
}

std::vector<Tensor> PreparedModel::forward_all(std::span<const Tensor> x) const {
  check_inputs("prepared model", graph_, input_names_, x);
  if (state_ == FakeQuantState::qat) {
    const nn::Frozen& frozen = nn::Freezing::now();
    const bool training = training_mode(), observe = training && !frozen.observers && !frozen.scales;
    if (!observe) check_observed("prepared model");
    const bool probed = BatchNormProbe::active() != nullptr;
    return run_qat(*this, x,
                   {.training = training,
                    .observe = observe,
                    .train_batch_norm = probed || (training && !frozen_bn_ && !frozen.batch_norm),
                    .probed = probed,
                    .train_scales = !frozen.scales,
                    .nans = nans_.get()});
  }
  std::vector<Tensor> outputs;
  {
    const NoGrad no_grad;
    if (state_ == FakeQuantState::calibration) {
      outputs = calibrate(graph_, x, [&](const Operand& o) {
        return o.kind == Operand::Kind::input ? input_quantizer_or_null(o.index) : node_quantizer(o.index);
      });
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
  return inspect(std::span<const Tensor>(&x, 1), inspector);
}

std::vector<Tensor> PreparedModel::inspect(std::span<const Tensor> x, const Inspector& inspector) const {
  check_inputs("inspect", graph_, input_names_, x);
  check_observed("inspect");
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  return runner()->run(x, inspector);
}

void PreparedModel::inspect_alone(const std::map<std::string, Tensor>& real, const Inspector& inspector) const {
  check_observed("inspect_alone");
  const NoGrad no_grad;
  runner()->run_alone(real, inspector);
}

}  // namespace sinter::quant
