#include "relu.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Relu::infer(std::span<const Spec> x) const {
  expect_float("relu", x, 1);
  return {x[0]};
}

void Relu::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().relu, x[0], y[0]);
  context.keep(y[0]);  // the mask can be read from the output
}

void Relu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().relu, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::relu(Tensor x) { return call(ops::Relu{}, std::move(x)); }
