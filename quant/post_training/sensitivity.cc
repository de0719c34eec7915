#include "sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../../core/ops/cross_entropy.h"
#include "../../core/table.h"
#include "../../data/data_loader.h"
#include "../../nn/metrics.h"
#include "partly_quantized.h"

namespace sinter::quant {

namespace {

class Measurement {
 public:
  Measurement(const data::Dataset& dataset, const SensitivityOptions& options)
      : loader_(dataset, {.batch = options.batch, .seed = options.seed, .batches = options.batches}) {}

  /// The first graph is the reference of the others.
  Outcome outcome(const Graph& graph) {
    const bool reference = reference_.empty();
    double signal = 0, noise = 0;
    nn::Meter meter;
    images_ = 0;
    for (const auto& batch : loader_.epoch(0)) {
      std::vector<Tensor> outputs = graph.run({batch.images});
      images_ += batch.images.size(0);
      if (reference) reference_.push_back(outputs);
      for (size_t i = 0; i < outputs.size(); ++i) {
        const auto expected = reference_[batch.index][i].values<float>(), found = outputs[i].values<float>();
        for (size_t k = 0; k < expected.size(); ++k) {
          const double error = static_cast<double>(found[k]) - static_cast<double>(expected[k]);
          signal += static_cast<double>(expected[k]) * static_cast<double>(expected[k]);
          noise += error * error;
        }
      }
      if (are_logits(outputs, batch.labels))
        meter.add(cross_entropy(outputs[0], batch.labels).item(), outputs[0], batch.labels);
    }
    const bool classifies = meter.images() == images_;
    return {.noise = noise == 0 ? 0 : noise / signal,
            .loss = classifies ? meter.loss() : std::nan(""),
            .accuracy = classifies ? meter.accuracy() : std::nan("")};
  }

  int64_t images() const { return images_; }

 private:
  static bool are_logits(const std::vector<Tensor>& outputs, const Tensor& labels) {
    if (outputs.size() != 1 || outputs[0].rank() != 2) return false;
    const auto all = labels.values<int64_t>();
    return std::all_of(all.begin(), all.end(), [&](int64_t l) { return l >= 0 && l < outputs[0].size(1); });
  }

  data::DataLoader loader_;
  std::vector<std::vector<Tensor>> reference_;  // outputs by batch
  int64_t images_ = 0;
};

// Few images often cost the same accuracy: then the noise decides.
std::pair<double, double> cost_of(const Outcome& outcome, Cost cost) {
  return {cost == Cost::loss ? outcome.loss : cost == Cost::accuracy ? -outcome.accuracy : 0, outcome.noise};
}

std::string number(double value, int decimals) {
  if (std::isnan(value)) return "-";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

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
  const NoGrad no_grad;
  const TrainingMode evaluation(false);
  Measurement measurement(dataset, options);
  Sensitivity result{.ranked_by = options.rank_by};
  result.in_float = measurement.outcome(parts.graph(false));
  result.images = measurement.images();
  check(options.rank_by == Cost::noise || !std::isnan(result.in_float.loss), "sensitivity: ranks by ", options.rank_by,
        ", but the network does not give one tensor of logits [N,classes] for the labels; rank by noise");
  result.quantized = measurement.outcome(parts.graph(true));
  for (size_t i = 0; i < parts.units().size(); ++i) {
    std::vector<bool> quantized(parts.units().size(), false);
    quantized[i] = true;
    result.nodes.push_back({parts.units()[i].name, measurement.outcome(parts.graph(quantized))});
    if (options.on_node) options.on_node(result.nodes.back().node);
  }
  std::stable_sort(result.nodes.begin(), result.nodes.end(), [&](const NodeSensitivity& a, const NodeSensitivity& b) {
    return cost_of(a.outcome, options.rank_by) > cost_of(b.outcome, options.rank_by);
  });
  return result;
}

}  // namespace sinter::quant
