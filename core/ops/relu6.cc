#include "relu6.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Relu6::infer(std::span<const Spec> x) const {
  expect_float("relu6", x, 1);
  return {x[0]};
}

void Relu6::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().relu6, x[0], y[0]);
  context.keep(y[0]);  // the mask can be read from the output
}

void Relu6::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().relu6, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::relu6(Tensor x) { return call(ops::Relu6{}, std::move(x)); }
