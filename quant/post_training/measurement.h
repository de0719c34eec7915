#pragma once
// Private: the same images through several forms of one network.

#include <span>
#include <string>
#include <vector>

#include "../../data/data_loader.h"
#include "sensitivity.h"

namespace sinter::quant {

/// Compares forms of a network with the first one, its float form.
class Measurement {
 public:
  using Run = std::function<std::vector<Tensor>(std::span<const Tensor> x)>;

  /// Errors start with `what`.
  Measurement(const char* what, const data::Dataset& dataset, const data::DataLoaderOptions& options, const Task& task,
              size_t inputs, const Run& in_float);

  const Outcome& in_float() const { return in_float_; }
  /// Throws Error where the network has no such cost; `what` is ranked or bounded by it.
  void check_known(Cost cost, const char* what) const;
  /// What an outcome costs in comparison with the float network's; infinity for a metric that became NaN.
  double cost_of(const Outcome& outcome, Cost cost) const;
  /// Of Cost::metric; empty where there is none.
  const std::string& metric() const { return metric_; }
  int64_t images() const { return images_; }
  /// Throws Error for outputs that are not finite.
  Outcome outcome(const Run& run);

 private:
  const char* what_;
  data::DataLoader loader_;
  Task task_;
  size_t inputs_;  // of the network
  std::string metric_;
  std::vector<std::vector<Tensor>> reference_;  // outputs by batch
  Outcome in_float_;
  int64_t images_ = 0;
};

}  // namespace sinter::quant
