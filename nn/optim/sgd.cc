#include "sgd.h"

namespace sinter::optim {

SGD::SGD(SGDOptions options)
    : Optimizer(options.lr, options.weight_decay, std::move(options.rules)),
      momentum_(options.momentum),
      dampening_(options.dampening),
      nesterov_(options.nesterov) {
  check(momentum_ >= 0 && momentum_ < 1, "SGD: momentum is ", momentum_, ", expected 0 <= momentum < 1");
  check(dampening_ >= 0 && dampening_ <= 1, "SGD: dampening is ", dampening_, ", expected 0 to 1");
  check(!nesterov_ || (momentum_ > 0 && dampening_ == 0), "SGD: nesterov needs a momentum and no dampening, got ",
        "momentum ", momentum_, " and dampening ", dampening_);
}

std::string SGD::describe() const {
  return text("SGD(momentum=", momentum_, ", nesterov=", nesterov_, ", dampening=", dampening_, ")");
}

std::vector<std::string> SGD::slots() const {
  if (momentum_ == 0) return {};
  return {"momentum"};
}

void SGD::update(const Chunk& chunk) const {
  float* value = chunk.value;
  const float* gradient = chunk.gradient;
  float* buffer = chunk.state[0];
  const auto lr = static_cast<float>(chunk.lr), decay = static_cast<float>(chunk.weight_decay);
  const auto momentum = static_cast<float>(momentum_);
  if (momentum_ == 0) {
    for (int64_t i = 0; i < chunk.count; ++i) value[i] -= lr * (gradient[i] + decay * value[i]);
    return;
  }
  // The first step takes the gradient whole: 0 * buffer + 1 * d.
  const float fresh = chunk.steps == 0 ? 1.0f : static_cast<float>(1 - dampening_);
  if (nesterov_) {
    for (int64_t i = 0; i < chunk.count; ++i) {
      const float d = gradient[i] + decay * value[i];
      buffer[i] = momentum * buffer[i] + fresh * d;
      value[i] -= lr * (d + momentum * buffer[i]);
    }
  } else {
    for (int64_t i = 0; i < chunk.count; ++i) {
      const float d = gradient[i] + decay * value[i];
      buffer[i] = momentum * buffer[i] + fresh * d;
      value[i] -= lr * buffer[i];
    }
  }
}

}  // namespace sinter::optim
