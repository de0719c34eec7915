#pragma once

#include "optimizer.h"

namespace sinter::optim {

struct AdamWOptions {
  double lr = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  std::vector<Rule> rules{};
};

/// Adam with decoupled weight decay (Loshchilov and Hutter, 1711.05101, algorithm 2), as PyTorch computes it.
class AdamW final : public Optimizer {
 public:
  AdamW(AdamWOptions options = {});
  std::string describe() const override;
  std::vector<std::string> slots() const override { return {"mean", "square"}; }
  void update(const Chunk& chunk) const override;

 private:
  double beta1_, beta2_;
  double eps_;
};

}  // namespace sinter::optim
