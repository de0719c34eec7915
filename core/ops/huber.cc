#include "huber.h"

#include <cmath>

#include "elementwise.h"

namespace sinter {

namespace ops {

Huber::Huber(const HuberAttributes& a) : OpWith(a) {
  check(std::isfinite(a.delta) && a.delta > 0, "huber: delta is ", a.delta, ", expected above 0");
}

Specs Huber::infer(std::span<const Spec> x) const {
  expect_float("huber", x, 2);
  check(x[0].shape == x[1].shape, "huber: inputs are ", x[0].shape, " and ", x[1].shape, ", expected one shape");
  return {x[0]};
}

void Huber::forward(Inputs x, Outputs y, Context& context) const {
  const auto delta = static_cast<float>(attributes.delta);
  map(x[0], x[1], y[0], [delta](float a, float b) {
    const float distance = std::fabs(a - b), near = distance > delta ? delta : distance;  // NaN stays
    return near * (distance - 0.5f * near);
  });
  context.keep(x[0]);
  context.keep(x[1]);
}

void Huber::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const auto delta = static_cast<float>(attributes.delta);
  for (size_t i = 0; i < 2; ++i) {
    if (!dx.wanted(i)) continue;
    Tensor result = Tensor::empty(dy[0].shape());
    map(context.kept(i), context.kept(1 - i), result, [delta](float own, float other) {
      const float d = own - other, low = d > delta ? delta : d;
      return low < -delta ? -delta : low;
    });
    map(result, dy[0], result, [](float slope, float g) { return slope * g; });
    dx.set(i, std::move(result));
  }
}

}  // namespace ops

Tensor huber(const Tensor& x, const Tensor& target, const HuberAttributes& attributes) {
  return call(ops::Huber{attributes}, x, target);
}

}  // namespace sinter
