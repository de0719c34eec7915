#pragma once

#include <cstdint>
#include <vector>

#include "fit.h"

namespace sinter::nn {

struct FindLearningRateOptions {
  double from = 1e-7, to = 10;
  int64_t steps = 100;
  double smoothing = 0.05;  ///< share of a new loss in the running mean
  double diverged = 4;      ///< ends where the smoothed loss is so many times the smallest
};

struct LearningRates {
  std::vector<double> lr;
  std::vector<double> loss;  ///< smoothed
  /// Where the loss falls fastest over the logarithm of the rate, within a tenth of the steps, among the rates below
  /// that of the smallest loss; NaN where it never falls.
  double suggestion = 0;
};
/// A table.
std::string to_string(const LearningRates& found);

/// The range test (Smith, 1506.01186): trains with rates that grow by equal factors, a step each, and tells the loss of
/// each. `how` is what `fit` would be given; its optimiser's own rate, schedule, epochs, checkpoint, validation and
/// logs play no part. The model and `default_random()` are as before afterwards, whatever happens. Throws Error as
/// `fit` does but for divergence, which ends the test.
LearningRates find_learning_rate(Module& model, const data::Dataset& dataset, const FitOptions& how = {},
                                 const FindLearningRateOptions& options = {});

}  // namespace sinter::nn
