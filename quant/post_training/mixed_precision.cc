#include "mixed_precision.h"

#include <algorithm>
#include <cmath>

#include "../../core/format.h"
#include "../../core/table.h"
#include "../../data/data_loader.h"
#include "../node_config.h"
#include "../read_inputs.h"
#include "measurement.h"
#include "partly_quantized.h"

namespace sinter::quant {

namespace {

// Whether two quantise alike, however their keywords say so.
bool same(const TensorConfig& a, const TensorConfig& b) {
  return a.fake_quant == b.fake_quant && a.averaging_constant == b.averaging_constant && same_observer(a, b);
}

bool is_pinned(const std::string& source) { return source.starts_with("path") || source == "QuantStub"; }

class Search {
 public:
  Search(const nn::Module& net, const std::vector<Tensor>& examples, const data::Dataset& dataset,
         const MixedPrecisionOptions& options)
      : net_(net),
        examples_(examples),
        options_(options),
        loading_{
            .batch = options.batch, .seed = options.seed, .batches = options.batches, .collate = options.task.collate},
        loader_(dataset, loading_),
        low_(calibrated({})),
        low_parts_("mixed_precision", low_),
        measurement_("mixed_precision", dataset, loading_, options.task, examples.size(),
                     low_parts_.forward(low_parts_.none())) {
    measurement_.check_known(options.target, "the target is of");
  }

  MixedPrecision run() {
    MixedPrecision report{.target = options_.target,
                          .metric = options_.target == Cost::metric ? measurement_.metric() : "",
                          .allowed = options_.allowed,
                          .in_float = measurement_.in_float()};
    std::vector<MixedNode> unable;
    std::vector<bool> raised = low_parts_.none();
    for (size_t i = 0; i < raised.size(); ++i) {
      const std::string reason = why_not(i);
      raised[i] = reason.empty();
      if (raised[i]) continue;
      MixedNode& node = unable.emplace_back();
      node.name = low_parts_.units()[i].name;
      node.reason = reason;
    }
    check(unable.size() < raised.size(), "mixed_precision: no node can be raised to ", options_.high,
          unable.empty() ? "" : text("; ", unable[0].name, ": ", unable[0].reason));
    const PreparedModel high = calibrated(raised);
    report.low = outcome(low_);
    report.high = outcome(high);
    auto order = ranked(raised, high);

    raised = low_parts_.none();
    PreparedModel model = low_;
    report.mixed = report.low;
    report.reached = is_allowed(report.low);
    for (auto& [calls, node] : order) {
      if (!report.reached) {
        for (size_t i = 0; i < raised.size(); ++i) raised[i] = raised[i] || calls[i];
        node.raised = true;
        model = mixed(raised, high);
        report.mixed = node.outcome = outcome(model);
        report.reached = is_allowed(report.mixed);
        if (options_.on_raised) options_.on_raised(node.name, node.outcome);
      }
      report.nodes.push_back(node);
    }
    report.nodes.insert(report.nodes.end(), unable.begin(), unable.end());
    report.by_path = paths(raised);
    count_bits(model, report);
    return report;
  }

 private:
  bool is_allowed(const Outcome& outcome) const {
    return measurement_.cost_of(outcome, options_.target) <= options_.allowed;
  }

  Outcome outcome(const PreparedModel& model) {
    return measurement_.outcome([&](std::span<const Tensor> x) { return model(x); });
  }

  // Where raising a unit's weights raises them for an earlier unit, too, that one; else the unit itself.
  size_t first_call(const std::vector<bool>& candidates, size_t unit) const {
    const auto weights = [&](size_t i) { return low_.graph().nodes[low_parts_.units()[i].operand.index].inputs[1]; };
    const auto has_weights = [&](size_t i) { return low_parts_.units()[i].weight.defined(); };
    for (size_t i = 0; i < unit && has_weights(unit); ++i)
      if (has_weights(i) && weights(i) == weights(unit)) return candidates[i] ? i : unit;
    return unit;
  }

  // What can be raised, in the order of what that gains: units, all calls of the same weights together.
  std::vector<std::pair<std::vector<bool>, MixedNode>> ranked(const std::vector<bool>& candidates,
                                                              const PreparedModel& high) {
    const PartlyQuantized high_parts("mixed_precision", high);
    std::vector<std::pair<std::vector<bool>, MixedNode>> order;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!candidates[i] || first_call(candidates, i) != i) continue;
      std::vector<bool> calls = low_parts_.only(i);
      for (size_t k = i + 1; k < calls.size(); ++k) calls[k] = candidates[k] && first_call(candidates, k) == i;
      MixedNode node;
      node.name = low_parts_.units()[i].name;
      node.noise_low = measurement_.outcome(low_parts_.forward(calls)).noise;
      node.noise_high = measurement_.outcome(high_parts.forward(calls)).noise;
      order.emplace_back(std::move(calls), std::move(node));
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return a.second.noise_low - a.second.noise_high > b.second.noise_low - b.second.noise_high;
    });
    return order;
  }

  // by_path for these units, and for no others: a path may name calls and fused nodes besides its own.
  std::map<std::string, QConfig> paths(const std::vector<bool>& raised) const {
    std::map<std::string, QConfig> result = options_.prepare.by_path;
    if (raised.empty()) return result;
    const auto& units = low_parts_.units();
    for (size_t i = 0; i < units.size(); ++i)
      if (raised[i]) {
        QConfig& high = result[units[i].name] = options_.high;
        high.run_in_float = units[i].operand.kind == Operand::Kind::node && low_.in_float(units[i].operand.index);
      }
    for (size_t i = 0; i < units.size(); ++i) {
      if (raised[i] || units[i].operand.kind != Operand::Kind::node) continue;
      const size_t node = units[i].operand.index;
      std::vector<std::string> names = low_.graph().nodes[node].aliases;
      names.push_back(units[i].name);
      for (const std::string& name : names)
        for (size_t k = 0; k < units.size(); ++k)
          if (raised[k] && covers(units[k].name, name)) result[name] = low_config(node);
    }
    return result;
  }

  QConfig low_config(size_t node) const {
    QConfig config = options_.prepare.qconfig;
    if (const auto* quantizer = low_.node_quantizer(node)) config.activation = quantizer->config();
    if (const auto* weights = low_.weight_quantizer(node)) config.weight = weights->config();
    config.run_in_float = low_.in_float(node);
    return config;
  }

  PreparedModel prepared(const std::vector<bool>& raised) const {
    PrepareOptions options = options_.prepare;
    options.by_path = paths(raised);
    return prepare_qat(net_, examples_, options);
  }

  PreparedModel calibrated(const std::vector<bool>& raised) {
    PreparedModel model = prepared(raised);
    set_fake_quantize(model, FakeQuantState::calibration);
    const NoGrad no_grad;
    for (const auto& batch : loader_.epoch(0))
      model(read_inputs("mixed_precision", options_.task.inputs, batch, examples_.size()));
    set_fake_quantize(model, FakeQuantState::validation);
    return model;
  }

  // With the ranges that were observed in each one's precision.
  PreparedModel mixed(const std::vector<bool>& raised, const PreparedModel& high) const {
    PreparedModel model = prepared(raised);
    load_observer_params(low_, model);
    for (const ActivationQuantizer* to : model.quantizers())
      for (const ActivationQuantizer* from : high.quantizers())
        if (from->name() == to->name() && from->config() == to->config()) to->continue_from(*from);
    set_fake_quantize(model, FakeQuantState::validation);
    return model;
  }

  // Why a unit cannot be raised; empty when it can.
  std::string why_not(size_t unit) const {
    const Operand& operand = low_parts_.units()[unit].operand;
    const bool input = operand.kind == Operand::Kind::input;
    const auto* quantizer = input ? low_.input_quantizer_or_null(operand.index) : low_.node_quantizer(operand.index);
    const auto* weights = input ? nullptr : low_.weight_quantizer(operand.index);
    if (quantizer == nullptr && weights == nullptr) return "has the scale of what it reads";
    for (const std::string& source : {quantizer == nullptr ? std::string() : quantizer->source(),
                                      weights == nullptr ? std::string() : weights->source()})
      if (is_pinned(source)) return "configured by " + source;
    const auto& high = options_.high;
    if ((quantizer == nullptr || (high.activation && same(quantizer->config(), *high.activation))) &&
        (weights == nullptr || same(weights->config(), high.weight)))
      return "has the high precision already";
    try {
      std::vector<bool> raised = low_parts_.none();
      raised[unit] = true;
      prepared(raised);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static void count_bits(const PreparedModel& model, MixedPrecision& report) {
    const Graph& graph = model.graph();
    double weight_bits = 0, weights = 0, activation_bits = 0, activations = 0;
    const auto add = [&](const ActivationQuantizer* quantizer, const Shape& shape) {
      if (quantizer == nullptr) return;
      const auto elements = static_cast<double>(shape.elements());
      activations += elements;
      activation_bits += elements * quantizer->config().bits;
    };
    for (size_t i = 0; i < graph.inputs.size(); ++i) add(model.input_quantizer_or_null(i), graph.inputs[i].shape);
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      add(model.node_quantizer(i), graph.nodes[i].outputs[0].shape);
      const auto* quantizer = model.weight_quantizer(i);
      if (quantizer != nullptr && quantizer->name() == graph.nodes[i].name) {  // else they are an earlier call's
        const auto elements = static_cast<double>(graph.spec(graph.nodes[i].inputs[1]).shape.elements());
        weights += elements;
        weight_bits += elements * quantizer->config().bits;
      }
    }
    report.weight_bits = weights > 0 ? weight_bits / weights : 0;
    report.activation_bits = activations > 0 ? activation_bits / activations : 0;
  }

  const nn::Module& net_;
  const std::vector<Tensor>& examples_;
  const MixedPrecisionOptions& options_;
  data::DataLoaderOptions loading_;
  data::DataLoader loader_;
  PreparedModel low_;
  PartlyQuantized low_parts_;
  Measurement measurement_;
};

std::string number(double value, int decimals) { return std::isnan(value) ? "-" : with_decimals(value, decimals); }
std::string noise(double value) { return std::isnan(value) ? "-" : with_digits(value, 3); }

}  // namespace

std::string to_string(const MixedPrecision& report) {
  std::vector<std::vector<std::string>> rows{{"raised", "noise low", "high", "network: SQNR dB", "loss", "accuracy %"}};
  for (const auto& metric : report.in_float.metrics) rows[0].push_back(metric.first);
  const auto row = [&](const std::string& name, const std::string& low, const std::string& high, const Outcome& o) {
    rows.push_back({name, low, high, number(o.sqnr(), 1), number(o.loss, 4), number(o.accuracy, 2)});
    for (const auto& metric : o.metrics) rows.back().push_back(number(metric.second, 4));
  };
  row("(float)", "", "", report.in_float);
  row("(nothing)", "", "", report.low);
  std::string others, unable;
  for (const MixedNode& node : report.nodes) {
    if (node.raised)
      row(node.name, noise(node.noise_low), noise(node.noise_high), node.outcome);
    else if (node.reason.empty())
      others += (others.empty() ? "" : ", ") + node.name;
    else
      unable += text(node.name, " cannot be raised: ", node.reason, "\n");
  }
  row("(all that can be)", "", "", report.high);
  std::string out = sinter::detail::table(rows, 1);
  if (!others.empty()) out += "left in low precision: " + others + "\n";
  out += unable;
  out += text(number(report.weight_bits, 2), " bits a weight, ", number(report.activation_bits, 2),
              " bits an activation; ", report.target == Cost::metric ? report.metric : to_string(report.target),
              " allowed to cost ", report.allowed, report.reached ? ", reached\n" : ", not reached\n");
  return out;
}

MixedPrecision mixed_precision(const nn::Module& net, const std::vector<Tensor>& examples, const data::Dataset& dataset,
                               const MixedPrecisionOptions& options) {
  return Search(net, examples, dataset, options).run();
}

MixedPrecision mixed_precision(const nn::Module& net, const Tensor& example, const data::Dataset& dataset,
                               const MixedPrecisionOptions& options) {
  return mixed_precision(net, std::vector<Tensor>{example}, dataset, options);
}

}  // namespace sinter::quant
