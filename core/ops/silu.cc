#include "silu.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Silu::infer(std::span<const Spec> x) const {
  expect_float("silu", x, 1);
  return {x[0]};
}

void Silu::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().silu, x[0], y[0]);
  context.keep(x[0]);
}

void Silu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().silu, context.kept(0), dy[0]));
}

}  // namespace sinter::ops

sinter::Tensor sinter::silu(const Tensor& x) { return call(ops::Silu{}, x); }
