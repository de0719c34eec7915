#include "sigmoid.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Sigmoid::infer(std::span<const Spec> x) const {
  expect_float("sigmoid", x, 1);
  return {x[0]};
}

void Sigmoid::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().sigmoid, x[0], y[0]);
  context.keep(y[0]);
}

void Sigmoid::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().sigmoid, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::sigmoid(Tensor x) { return call(ops::Sigmoid{}, std::move(x)); }
