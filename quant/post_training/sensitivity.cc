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
  constexpr const char* kNames[] = {"noise", "loss", "accuracy", "metric"};
  return kNames[static_cast<size_t>(cost)];
}

double Outcome::sqnr() const { return noise > 0 ? -10 * std::log10(noise) : std::numeric_limits<double>::infinity(); }

std::string to_string(const Sensitivity& s) {
  std::vector<std::vector<std::string>> rows{{"quantised", "SQNR dB", "loss", "accuracy %"}};
  for (const auto& metric : s.in_float.metrics) rows[0].push_back(metric.first);
  const auto row = [&](const std::string& name, const Outcome& o) {
    rows.push_back({name, number(o.sqnr(), 1), number(o.loss, 4), number(o.accuracy, 2)});
    for (const auto& metric : o.metrics) rows.back().push_back(number(metric.second, 4));
  };
  row("(nothing)", s.in_float);
  row("(everything)", s.quantized);
  for (const NodeSensitivity& node : s.nodes) row(node.node, node.outcome);
  return text("each alone, on ", s.images, " images, by ",
              s.ranked_by == Cost::metric ? s.metric : to_string(s.ranked_by), "\n") +
         sinter::detail::table(rows, 1);
}

Sensitivity sensitivity(const PreparedModel& model, const data::Dataset& dataset, const SensitivityOptions& options) {
  const PartlyQuantized parts("sensitivity", model);
  Measurement measurement(
      "sensitivity", dataset,
      {.batch = options.batch, .seed = options.seed, .batches = options.batches, .collate = options.task.collate},
      options.task, model.graph().inputs.size(), parts.forward(parts.none()));
  measurement.check_known(options.rank_by, "ranks by");
  Sensitivity result{.ranked_by = options.rank_by,
                     .metric = options.rank_by == Cost::metric ? measurement.metric() : "",
                     .images = measurement.images(),
                     .in_float = measurement.in_float()};
  result.quantized = measurement.outcome(parts.forward(parts.all()));
  for (size_t i = 0; i < parts.units().size(); ++i) {
    result.nodes.push_back({parts.units()[i].name, measurement.outcome(parts.forward(parts.only(i)))});
    if (options.on_node) options.on_node(result.nodes.back().node);
  }
  // Few images often cost the same accuracy: then the noise decides.
  const auto key = [&](const NodeSensitivity& node) {
    return std::pair(measurement.cost_of(node.outcome, options.rank_by), node.outcome.noise);
  };
  std::stable_sort(result.nodes.begin(), result.nodes.end(),
                   [&](const NodeSensitivity& a, const NodeSensitivity& b) { return key(a) > key(b); });
  return result;
}

}  // namespace sinter::quant
