#pragma once
// Private: the same images through several forms of one network.

#include "../../data/data_loader.h"
#include "sensitivity.h"

namespace sinter::quant {

/// Compares forms of a network with the first one, its float form.
class Measurement {
 public:
  using Run = std::function<std::vector<Tensor>(const Tensor& images)>;

  /// Errors start with `what`.
  Measurement(const char* what, const data::Dataset& dataset, const data::DataLoaderOptions& options,
              const Run& in_float);

  const Outcome& in_float() const { return in_float_; }
  /// Whether loss and accuracy are known: the network gives one tensor of logits [N,classes] for the labels.
  bool classifies() const;
  int64_t images() const { return images_; }
  /// Throws Error for outputs that are not finite.
  Outcome outcome(const Run& run);

 private:
  const char* what_;
  data::DataLoader loader_;
  std::vector<std::vector<Tensor>> reference_;  // outputs by batch
  Outcome in_float_;
  int64_t images_ = 0;
};

/// What an outcome costs in comparison with the float network's.
double cost_of(const Outcome& outcome, const Outcome& in_float, Cost cost);

}  // namespace sinter::quant
