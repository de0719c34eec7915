#include "rmsprop.h"

#include <algorithm>
#include <cmath>

namespace sinter::optim {

RMSprop::RMSprop(RMSpropOptions options)
    : Optimizer(options.lr, options.weight_decay, std::move(options.rules)),
      alpha_(options.alpha),
      eps_(options.eps),
      momentum_(options.momentum),
      centered_(options.centered) {
  check(alpha_ >= 0 && alpha_ < 1, "RMSprop: alpha is ", alpha_, ", expected 0 <= alpha < 1");
  check(std::isfinite(eps_) && eps_ >= 0, "RMSprop: eps is ", eps_, ", expected 0 or more");
  check(momentum_ >= 0 && momentum_ < 1, "RMSprop: momentum is ", momentum_, ", expected 0 <= momentum < 1");
}

std::string RMSprop::describe() const {
  return text("RMSprop(alpha=", alpha_, ", eps=", eps_, ", momentum=", momentum_, ", centered=", centered_, ")");
}

std::vector<std::string> RMSprop::slots() const {
  std::vector<std::string> names{"square"};
  if (centered_) names.push_back("mean");
  if (momentum_ > 0) names.push_back("momentum");
  return names;
}

void RMSprop::update(const Chunk& chunk) const {
  float* value = chunk.value;
  const float* gradient = chunk.gradient;
  float* square = chunk.state[0];
  float* mean = centered_ ? chunk.state[1] : nullptr;
  float* buffer = momentum_ > 0 ? chunk.state[centered_ ? 2 : 1] : nullptr;
  const auto lr = static_cast<float>(chunk.lr), decay = static_cast<float>(chunk.weight_decay);
  const auto alpha = static_cast<float>(alpha_), fresh = static_cast<float>(1 - alpha_);
  const auto eps = static_cast<float>(eps_), momentum = static_cast<float>(momentum_);
  for (int64_t i = 0; i < chunk.count; ++i) {
    const float g = gradient[i] + decay * value[i];
    square[i] = alpha * square[i] + fresh * (g * g);
    float variance = square[i];
    if (mean != nullptr) {
      mean[i] = alpha * mean[i] + fresh * g;
      variance = std::max(0.0f, variance - mean[i] * mean[i]);  // it may round to less
    }
    float step = g / (std::sqrt(variance) + eps);
    if (buffer != nullptr) step = buffer[i] = momentum * buffer[i] + step;
    value[i] -= lr * step;
  }
}

}  // namespace sinter::optim
