#include "lamb.h"

#include <cmath>

#include "../../core/parallel.h"
#include "moments.h"

namespace sinter::optim {

Lamb::Lamb(LambOptions options)
    : Optimizer(options.lr, options.weight_decay, std::move(options.rules)),
      beta1_(options.beta1),
      beta2_(options.beta2),
      eps_(options.eps) {
  detail::check_moments("Lamb", beta1_, beta2_, eps_);
}

std::string Lamb::describe() const { return text("Lamb(beta1=", beta1_, ", beta2=", beta2_, ", eps=", eps_, ")"); }

void Lamb::update(const Chunk& chunk) const {
  constexpr int64_t kBlock = 4096;  // elements whose squares are summed in one go: fixes the order of the sum
  constexpr int64_t kGrain = 4;     // blocks
  float* value = chunk.value;
  const float* gradient = chunk.gradient;
  float* mean = chunk.state[0];
  float* square = chunk.state[1];
  const auto steps = static_cast<double>(chunk.steps + 1);
  const auto beta1 = static_cast<float>(beta1_), fresh1 = static_cast<float>(1 - beta1_);
  const auto beta2 = static_cast<float>(beta2_), fresh2 = static_cast<float>(1 - beta2_);
  const auto scale = static_cast<float>(1 / (1 - std::pow(beta1_, steps)));
  const auto correction = static_cast<float>(std::sqrt(1 - std::pow(beta2_, steps)));
  const auto eps = static_cast<float>(eps_), decay = static_cast<float>(chunk.weight_decay);
  const auto direction = [=](int64_t i) {
    return mean[i] * scale / (std::sqrt(square[i]) / correction + eps) + decay * value[i];
  };

  const int64_t blocks = (chunk.count + kBlock - 1) / kBlock;
  std::vector<double> values(static_cast<size_t>(blocks)), directions(static_cast<size_t>(blocks));
  parallel_for(blocks, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      double of_value = 0, of_direction = 0;
      for (int64_t i = block * kBlock, last = std::min(chunk.count, i + kBlock); i < last; ++i) {
        const float g = gradient[i];
        mean[i] = beta1 * mean[i] + fresh1 * g;
        square[i] = beta2 * square[i] + fresh2 * (g * g);
        const double v = value[i], d = direction(i);
        of_value += v * v;
        of_direction += d * d;
      }
      values[static_cast<size_t>(block)] = of_value;
      directions[static_cast<size_t>(block)] = of_direction;
    }
  });
  double of_value = 0, of_direction = 0;
  for (const double sum : values) of_value += sum;
  for (const double sum : directions) of_direction += sum;
  const double trust = of_value > 0 && of_direction > 0 ? std::sqrt(of_value / of_direction) : 1;
  const auto rate = static_cast<float>(chunk.lr * trust);
  parallel_for(blocks, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * kBlock, last = std::min(chunk.count, end * kBlock); i < last; ++i)
      value[i] -= rate * direction(i);
  });
}

}  // namespace sinter::optim
