#include "hardswish.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Hardswish::infer(std::span<const Spec> x) const {
  expect_float("hardswish", x, 1);
  return {x[0]};
}

void Hardswish::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().hardswish, x[0], y[0]);
  context.keep(x[0]);
}

void Hardswish::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().hardswish, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::hardswish(const Tensor& x) { return call(ops::Hardswish{}, x); }
