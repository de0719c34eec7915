#include "hardsigmoid.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Hardsigmoid::infer(std::span<const Spec> x) const {
  expect_float("hardsigmoid", x, 1);
  return {x[0]};
}

void Hardsigmoid::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) {
    const float shifted = v + 3;
    const float low = shifted < 0 ? 0.0f : shifted;
    return (low > 6 ? 6.0f : low) / 6;
  });
  context.keep(y[0]);
}

void Hardsigmoid::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float y, float g) { return y > 0 && y < 1 ? g / 6 : 0.0f; });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::hardsigmoid(Tensor x) { return call(ops::Hardsigmoid{}, std::move(x)); }
