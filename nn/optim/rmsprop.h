#pragma once

#include "optimizer.h"

namespace sinter::optim {

struct RMSpropOptions {
  double lr = 0.01;
  double alpha = 0.99;  ///< what the running mean of squares keeps at each step
  double eps = 1e-8;
  double momentum = 0;
  bool centered = false;    ///< divides by the deviation from a running mean of the gradients
  double weight_decay = 0;  ///< added to the gradient, times the value
  std::vector<Rule> rules{};
};

/// Gradients divided by the root of their running mean square (Tieleman and Hinton, 2012; centered: Graves,
/// 1308.0850), as PyTorch computes it.
class RMSprop final : public Optimizer {
 public:
  RMSprop(RMSpropOptions options = {});
  std::string describe() const override;
  std::vector<std::string> slots() const override;
  void update(const Chunk& chunk) const override;

 private:
  double alpha_, eps_, momentum_;
  bool centered_;
};

}  // namespace sinter::optim
