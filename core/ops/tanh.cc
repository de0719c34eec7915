#include "tanh.h"

#include <cmath>

#include "elementwise.h"

namespace sinter::ops {

Specs Tanh::infer(std::span<const Spec> x) const {
  expect_float("tanh", x, 1);
  return {x[0]};
}

void Tanh::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) { return std::tanh(v); });
  context.keep(y[0]);
}

void Tanh::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float y, float g) { return g * (1 - y * y); });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::tanh(Tensor x) { return call(ops::Tanh{}, std::move(x)); }
