#include "measurement.h"

#include <algorithm>
#include <cmath>

#include "../../core/ops/cross_entropy.h"
#include "../../nn/metrics.h"
#include "../read_inputs.h"

namespace sinter::quant {

namespace {

bool are_logits(const std::vector<Tensor>& outputs, const Tensor& labels) {
  if (outputs.size() != 1 || outputs[0].rank() != 2 || !labels.defined()) return false;
  const auto all = labels.values<int64_t>();
  return std::all_of(all.begin(), all.end(), [&](int64_t label) { return label >= 0 && label < outputs[0].size(1); });
}

}  // namespace

Measurement::Measurement(const char* what, const data::Dataset& dataset, const data::DataLoaderOptions& options,
                         const Task& task, size_t inputs, const Run& in_float)
    : what_(what), loader_(dataset, options), task_(task), inputs_(inputs), metric_(task.metric) {
  in_float_ = outcome(in_float);
  if (metric_.empty() && in_float_.metrics.size() == 1) metric_ = in_float_.metrics.begin()->first;
}

void Measurement::check_known(Cost cost, const char* what) const {
  if (cost == Cost::noise) return;
  if (cost != Cost::metric) {
    check(!std::isnan(cost == Cost::loss ? in_float_.loss : in_float_.accuracy), what_, ": ", what, " ", cost,
          ", but the network does not give one tensor of logits [N,classes] for the labels; ",
          cost == Cost::loss ? "give a loss, or take" : "take", " a metric, or noise");
    return;
  }
  std::vector<std::string> names;
  for (const auto& metric : in_float_.metrics) names.push_back(metric.first);
  const auto found = in_float_.metrics.find(metric_);
  check(found != in_float_.metrics.end(), what_, ": ", what, " a metric",
        metric_.empty() ? std::string() : text(", '", metric_, "'"), ", but ",
        names.empty() ? "none are given" : text("`.metric` names none of those that there are: ", joined(names)));
  check(!std::isnan(found->second), what_, ": ", what, " ", metric_, ", but that is NaN for the float network");
}

Outcome Measurement::outcome(const Run& run) {
  const NoGrad no_grad;
  const nn::ModeOverride module_mode(false);
  const TrainingMode evaluation(false);
  const bool first = reference_.empty();
  double signal = 0, noise = 0;
  double own_loss = 0;
  nn::Meter meter;
  images_ = 0;
  for (nn::AnyMetric& metric : task_.metrics) metric->reset();
  for (const auto& batch : loader_.epoch(0)) {
    const nn::Outputs outputs = run(read_inputs(what_, task_.inputs, batch, inputs_));
    const int64_t count = data::count_of(batch);
    images_ += count;
    if (first) reference_.emplace_back(outputs.begin(), outputs.end());
    const std::vector<Tensor>& reference = reference_[batch.index];
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto expected = reference[i].values<float>(), found = outputs[i].values<float>();
      for (size_t k = 0; k < expected.size(); ++k) {
        const double error = static_cast<double>(found[k]) - static_cast<double>(expected[k]);
        signal += static_cast<double>(expected[k]) * static_cast<double>(expected[k]);
        noise += error * error;
      }
    }
    for (nn::AnyMetric& metric : task_.metrics) metric->add(outputs, batch);
    if (task_.loss)
      own_loss += static_cast<double>(task_.loss(outputs, batch).item()) * static_cast<double>(count);
    else if (are_logits(reference, batch.labels))
      meter.add(cross_entropy(outputs[0], batch.labels).item(), outputs[0], batch.labels);
  }
  check(std::isfinite(signal) && std::isfinite(noise) && std::isfinite(meter.loss()) && std::isfinite(own_loss), what_,
        ": outputs of the ", first ? "float network" : "quantised network",
        " are not finite; is a value of an image or a parameter NaN or infinite?");
  const bool all = meter.images() == images_;
  return {.noise = noise == 0 ? 0 : noise / signal,
          .loss = task_.loss ? own_loss / static_cast<double>(images_)
                  : all      ? meter.loss()
                             : std::nan(""),
          .accuracy = all ? meter.accuracy() : std::nan(""),
          .metrics = nn::measured(task_.metrics).numbers};
}

double Measurement::cost_of(const Outcome& outcome, Cost cost) const {
  switch (cost) {
    case Cost::noise:
      return outcome.noise;
    case Cost::loss:
      return outcome.loss - in_float_.loss;
    case Cost::accuracy:
      return in_float_.accuracy - outcome.accuracy;
    case Cost::metric: {
      const double fall = in_float_.metrics.at(metric_) - outcome.metrics.at(metric_);
      if (std::isnan(fall)) return std::numeric_limits<double>::infinity();
      return nn::Monitor{metric_, task_.larger_is_better}.larger() ? fall : -fall;
    }
  }
  return 0;
}

}  // namespace sinter::quant
