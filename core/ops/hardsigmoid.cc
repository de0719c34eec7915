#include "hardsigmoid.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Hardsigmoid::infer(std::span<const Spec> x) const {
  expect_float("hardsigmoid", x, 1);
  return {x[0]};
}

void Hardsigmoid::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().hardsigmoid, x[0], y[0]);
  context.keep(y[0]);
}

void Hardsigmoid::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().hardsigmoid, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::hardsigmoid(Tensor x) { return call(ops::Hardsigmoid{}, std::move(x)); }
