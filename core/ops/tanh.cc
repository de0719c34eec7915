#include "tanh.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Tanh::infer(std::span<const Spec> x) const {
  expect_float("tanh", x, 1);
  return {x[0]};
}

void Tanh::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().tanh, x[0], y[0]);
  context.keep(y[0]);
}

void Tanh::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().tanh, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::tanh(Tensor x) { return call(ops::Tanh{}, std::move(x)); }
