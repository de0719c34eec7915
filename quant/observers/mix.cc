#include "mix.h"

#include <algorithm>
#include <cmath>

#include "../../core/error.h"
#include "min_max.h"
#include "mse.h"
#include "percentile.h"

namespace sinter::quant {

Mix::Mix() {
  candidates_.push_back(ObserverValue::of(MinMax()));
  for (const double percentile : {99.9, 99.99, 99.999}) {
    Percentile candidate;
    candidate.percentile = percentile;
    candidates_.push_back(ObserverValue::of(candidate));
  }
  candidates_.push_back(ObserverValue::of(Mse()));
  for (auto* values : {&mins_, &maxs_, &errors_}) values->resize(candidates_.size());
}

void Mix::validate() const {
  for (const auto* values : {&mins_, &maxs_, &errors_})
    check(values->size() == candidates_.size(), "mix: the state has ", values->size(), " candidates, expected ",
          candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i)
    check(std::isfinite(mins_[i]) && std::isfinite(maxs_[i]) && mins_[i] <= maxs_[i] && errors_[i] >= 0,
          "mix: the state's candidate ", i, " has the range ", mins_[i], "..", maxs_[i], " and the error ", errors_[i]);
  check(batches_ >= 0 && batches_ <= kMostCounted, "mix: the state is of ", batches_, " batches");
}

void Mix::state(StateVisitor& visitor) {
  visitor.visit("mins", mins_);
  visitor.visit("maxs", maxs_);
  visitor.visit("errors", errors_);
  visitor.visit("batches", batches_);
}

Range Mix::observe(const Samples& batch) {
  const auto running = [&](size_t i) { return Range{static_cast<float>(mins_[i]), static_cast<float>(maxs_[i])}; };
  std::vector<float> scales;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    Observer& candidate = *candidates_[i];
    candidate.type = type;
    candidate.march = march;
    const double weight = batch_weight(candidate.default_averaging_constant(), batches_ + 1, warm_up);
    const Range range = averaged(running(i), candidate.observe(batch), weight);
    mins_[i] = range.min;
    maxs_[i] = range.max;
    scales.push_back(scale_of(range));
  }
  ++batches_;
  const std::vector<double> errors = batch.squared_errors(scales, type);
  for (size_t i = 0; i < errors.size(); ++i) errors_[i] += errors[i];
  return running(std::min_element(errors_.begin(), errors_.end()) - errors_.begin());
}

}  // namespace sinter::quant
