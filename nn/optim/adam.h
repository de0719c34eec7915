#pragma once

#include "optimizer.h"

namespace sinter::optim {

struct AdamOptions {
  double lr = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient, times the value (AdamW's is another)
  std::vector<Rule> rules{};
};

/// Adam (Kingma and Ba, 1412.6980, algorithm 1), as PyTorch computes it.
class Adam final : public Optimizer {
 public:
  Adam(AdamOptions options = {});
  std::string describe() const override;
  std::vector<std::string> slots() const override { return {"mean", "square"}; }
  void update(const Chunk& chunk) const override;

 private:
  double beta1_, beta2_;
  double eps_;
};

}  // namespace sinter::optim
