#pragma once

#include "optimizer.h"

namespace sinter::optim {

struct SGDOptions {
  double lr = 0.01;
  double momentum = 0;
  bool nesterov = false;  ///< needs momentum, and no dampening
  double weight_decay = 0;
  double dampening = 0;
  std::vector<Rule> rules{};
};

/// Stochastic gradient descent as PyTorch computes it, with d = gradient + weight_decay * value:
/// the buffer is d at the first step, then b = momentum * b + (1 - dampening) * d; the value moves by -lr * b, or, with
/// Nesterov's momentum, by -lr * (d + momentum * b).
class SGD final : public Optimizer {
 public:
  SGD(SGDOptions options = {});
  std::string describe() const override;
  std::vector<std::string> slots() const override;
  void update(const Chunk& chunk) const override;

 private:
  double momentum_;
  double dampening_;
  bool nesterov_;
};

}  // namespace sinter::optim
