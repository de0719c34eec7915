#include "sensitivity.h"

#include <algorithm>
#include <cmath>

#include "../../core/format.h"
#include "../../core/table.h"
#include "measurement.h"
#include "partly_quantized.h"

namespace sinter::quant {

namespace {

std::string number(double value, int decimals) { return std::isnan(value) ? "-" : with_decimals(value, decimals); }

}  // namespace

std::string to_string(Cost cost) {
  constexpr const char* kNames[] = {"noise", "loss", "accuracy"};
  return kNames[static_cast<size_t>(cost)];
}

double Outcome::sqnr() const { return noise > 0 ? -10 * std::log10(noise) : std::numeric_limits<double>::infinity(); }

std::string to_string(const Sensitivity& s) {
  std::vector<std::vector<std::string>> rows{{"quantised", "SQNR dB", "loss", "accuracy %"}};
  const auto row = [&](const std::string& name, const Outcome& o) {
    rows.push_back({name, number(o.sqnr(), 1), number(o.loss, 4), number(o.accuracy, 2)});
  };
  row("(nothing)", s.in_float);
  row("(everything)", s.quantized);
  for (const NodeSensitivity& node : s.nodes) row(node.node, node.outcome);
  return text("each alone, on ", s.images, " images, by ", s.ranked_by, "\n") + sinter::detail::table(rows, 1);
}

Sensitivity sensitivity(const PreparedModel& model, const data::Dataset& dataset, const SensitivityOptions& options) {
  check(model.graph().inputs.size() == 1, "sensitivity: the model has ", model.graph().inputs.size(),
        " inputs, expected one");
  const PartlyQuantized parts("sensitivity", model);
  Measurement measurement("sensitivity", dataset,
                          {.batch = options.batch, .seed = options.seed, .batches = options.batches},
                          parts.forward(parts.none()));
  check(options.rank_by == Cost::noise || measurement.classifies(), "sensitivity: ranks by ", options.rank_by,
        ", but the network does not give one tensor of logits [N,classes] for the labels; rank by noise");
  Sensitivity result{.ranked_by = options.rank_by, .images = measurement.images(), .in_float = measurement.in_float()};
  result.quantized = measurement.outcome(parts.forward(parts.all()));
  for (size_t i = 0; i < parts.units().size(); ++i) {
    result.nodes.push_back({parts.units()[i].name, measurement.outcome(parts.forward(parts.only(i)))});
    if (options.on_node) options.on_node(result.nodes.back().node);
  }
  // Few images often cost the same accuracy: then the noise decides.
  const auto key = [&](const NodeSensitivity& node) {
    return std::pair(cost_of(node.outcome, result.in_float, options.rank_by), node.outcome.noise);
  };
  std::stable_sort(result.nodes.begin(), result.nodes.end(),
                   [&](const NodeSensitivity& a, const NodeSensitivity& b) { return key(a) > key(b); });
  return result;
}

}  // namespace sinter::quant
