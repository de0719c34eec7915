#include "clip.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "../../core/autograd.h"
#include "../../core/parallel.h"

namespace sinter::optim {

namespace {

// Of what an optimiser's step changes: what is frozen may have an old one.
Tensor gradient_of(const NamedParameter& parameter) {
  const Tensor& value = parameter.value.tensor();
  return value.requires_grad() ? value.grad() : Tensor();
}

constexpr int64_t kBlock = 4096;  // elements whose squares are summed in one go: fixes the order of the sum
constexpr int64_t kGrain = 1 << 14;

double sum_of_squares(const Tensor& tensor) {
  const int64_t count = tensor.elements(), blocks = (count + kBlock - 1) / kBlock;
  const float* x = tensor.data<float>();
  std::vector<double> sums(static_cast<size_t>(blocks));
  parallel_for(blocks, kGrain / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      // Lanes, as one running sum would wait for every addition.
      std::array<double, 8> lanes{};
      int64_t i = b * kBlock;
      const int64_t last = std::min(count, i + kBlock);
      for (; i + 8 <= last; i += 8)
        for (int64_t lane = 0; lane < 8; ++lane) lanes[lane] += double{x[i + lane]} * double{x[i + lane]};
      for (; i < last; ++i) lanes[0] += double{x[i]} * double{x[i]};
      sums[static_cast<size_t>(b)] = std::accumulate(lanes.begin(), lanes.end(), 0.0);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

template <class F>
void change_gradients(const std::vector<NamedParameter>& parameters, const F& f) {
  for (const NamedParameter& parameter : parameters) {
    Tensor gradient = gradient_of(parameter);
    if (!gradient.defined()) continue;
    float* g = sinter::detail::Access::write<float>(gradient);
    parallel_for(gradient.elements(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) g[i] = f(g[i]);
    });
  }
}

}  // namespace

double gradient_norm(const std::vector<NamedParameter>& parameters) {
  double sum = 0;
  for (const NamedParameter& parameter : parameters)
    if (const Tensor gradient = gradient_of(parameter); gradient.defined()) sum += sum_of_squares(gradient);
  return std::sqrt(sum);
}

double clip_gradient_norm(const std::vector<NamedParameter>& parameters, double max_norm) {
  check(max_norm > 0, "clip_gradient_norm: max_norm is ", max_norm, ", expected more than 0");
  const double norm = gradient_norm(parameters);
  if (!std::isfinite(norm))
    for (const NamedParameter& parameter : parameters)
      if (const Tensor gradient = parameter.value.tensor().grad(); gradient.defined())
        check(std::isfinite(sum_of_squares(gradient)), "clip_gradient_norm: the gradient of ", parameter.name,
              " is not finite: training has diverged");
  if (norm > max_norm) scale_gradients(parameters, max_norm / norm);
  return norm;
}

void scale_gradients(const std::vector<NamedParameter>& parameters, double factor) {
  const auto scale = static_cast<float>(factor);
  change_gradients(parameters, [scale](float g) { return g * scale; });
}

void clip_gradient_value(const std::vector<NamedParameter>& parameters, double limit) {
  check(limit > 0, "clip_gradient_value: limit is ", limit, ", expected more than 0");
  const auto bound = static_cast<float>(limit);
  change_gradients(parameters, [bound](float g) { return g < -bound ? -bound : g > bound ? bound : g; });
}

}  // namespace sinter::optim
