#include "adam.h"

#include <cmath>

#include "moments.h"

namespace sinter::optim {

Adam::Adam(AdamOptions options)
    : Optimizer(options.lr, options.weight_decay, std::move(options.rules)),
      beta1_(options.beta1),
      beta2_(options.beta2),
      eps_(options.eps) {
  detail::check_moments("Adam", beta1_, beta2_, eps_);
}

std::string Adam::describe() const { return text("Adam(beta1=", beta1_, ", beta2=", beta2_, ", eps=", eps_, ")"); }

void Adam::update(const Chunk& chunk) const {
  float* value = chunk.value;
  const float* gradient = chunk.gradient;
  float* mean = chunk.state[0];
  float* square = chunk.state[1];
  const auto steps = static_cast<double>(chunk.steps + 1);
  const auto decay = static_cast<float>(chunk.weight_decay);
  const auto beta1 = static_cast<float>(beta1_), fresh1 = static_cast<float>(1 - beta1_);
  const auto beta2 = static_cast<float>(beta2_), fresh2 = static_cast<float>(1 - beta2_);
  const auto rate = static_cast<float>(chunk.lr / (1 - std::pow(beta1_, steps)));
  const auto correction = static_cast<float>(std::sqrt(1 - std::pow(beta2_, steps)));
  const auto eps = static_cast<float>(eps_);
  for (int64_t i = 0; i < chunk.count; ++i) {
    const float g = gradient[i] + decay * value[i];
    mean[i] = beta1 * mean[i] + fresh1 * g;
    square[i] = beta2 * square[i] + fresh2 * (g * g);
    value[i] -= rate * mean[i] / (std::sqrt(square[i]) / correction + eps);
  }
}

}  // namespace sinter::optim
