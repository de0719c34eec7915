#include "measurement.h"

#include <algorithm>
#include <cmath>

#include "../../core/ops/cross_entropy.h"
#include "../../nn/metrics.h"

namespace sinter::quant {

namespace {

bool are_logits(const std::vector<Tensor>& outputs, const Tensor& labels) {
  if (outputs.size() != 1 || outputs[0].rank() != 2) return false;
  const auto all = labels.values<int64_t>();
  return std::all_of(all.begin(), all.end(), [&](int64_t label) { return label >= 0 && label < outputs[0].size(1); });
}

}  // namespace

Measurement::Measurement(const char* what, const data::Dataset& dataset, const data::DataLoaderOptions& options,
                         const Run& in_float)
    : what_(what), loader_(dataset, options) {
  in_float_ = outcome(in_float);
}

bool Measurement::classifies() const { return !std::isnan(in_float_.loss); }

Outcome Measurement::outcome(const Run& run) {
  const NoGrad no_grad;
  const nn::ModeOverride module_mode(false);
  const TrainingMode evaluation(false);
  const bool first = reference_.empty();
  double signal = 0, noise = 0;
  nn::Meter meter;
  images_ = 0;
  for (const auto& batch : loader_.epoch(0)) {
    const std::vector<Tensor> outputs = run(batch.images);
    images_ += batch.images.size(0);
    if (first) reference_.push_back(outputs);
    const std::vector<Tensor>& reference = reference_[batch.index];
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto expected = reference[i].values<float>(), found = outputs[i].values<float>();
      for (size_t k = 0; k < expected.size(); ++k) {
        const double error = static_cast<double>(found[k]) - static_cast<double>(expected[k]);
        signal += static_cast<double>(expected[k]) * static_cast<double>(expected[k]);
        noise += error * error;
      }
    }
    if (are_logits(outputs, batch.labels))
      meter.add(cross_entropy(outputs[0], batch.labels).item(), outputs[0], batch.labels);
  }
  check(std::isfinite(signal) && std::isfinite(noise) && std::isfinite(meter.loss()), what_, ": outputs of the ",
        first ? "float network" : "quantised network",
        " are not finite; is a value of an image or a parameter NaN or infinite?");
  const bool all = meter.images() == images_;
  return {.noise = noise == 0 ? 0 : noise / signal,
          .loss = all ? meter.loss() : std::nan(""),
          .accuracy = all ? meter.accuracy() : std::nan("")};
}

double cost_of(const Outcome& outcome, const Outcome& in_float, Cost cost) {
  switch (cost) {
    case Cost::noise:
      return outcome.noise;
    case Cost::loss:
      return outcome.loss - in_float.loss;
    case Cost::accuracy:
      return in_float.accuracy - outcome.accuracy;
  }
  return 0;
}

}  // namespace sinter::quant
