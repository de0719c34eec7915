#pragma once

#include "optimizer.h"

namespace sinter::optim {

struct LambOptions {
  double lr = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-6;
  double weight_decay = 0.01;
  std::vector<Rule> rules{};
};

/// Adam's direction and the decay, as long as the parameter is: for large batches (You et al., 1904.00962, algorithm 2,
/// with phi(z) = z). Where the parameter or its direction is 0, the direction as it is.
class Lamb final : public Optimizer {
 public:
  Lamb(LambOptions options = {});
  std::string describe() const override;
  std::vector<std::string> slots() const override { return {"mean", "square"}; }
  bool whole() const override { return true; }
  void update(const Chunk& chunk) const override;

 private:
  double beta1_, beta2_;
  double eps_;
};

}  // namespace sinter::optim
