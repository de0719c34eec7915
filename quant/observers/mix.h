#pragma once

#include "../observer.h"

namespace sinter::quant {

/// "mix": several observers (min_max, percentile 99.9, 99.99 and 99.999, mse), each with a range that averages over the
/// batches by its own constant and the squared error that its scales, on the march's grid, have made; the range with
/// the least error so far, the first on ties; c = 1, as the candidates average.
class Mix final : public Observer {
 public:
  Mix();

  Range observe(const Samples& batch) override;
  double default_averaging_constant() const override { return 1; }
  void validate() const override;
  void state(StateVisitor& visitor) override;

 private:
  std::vector<ObserverValue> candidates_;  // without a state of their own
  std::vector<double> mins_, maxs_, errors_;
  int64_t batches_ = 0;
};

}  // namespace sinter::quant
