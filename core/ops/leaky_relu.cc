#include "leaky_relu.h"

#include "elementwise.h"

namespace sinter {

namespace ops {

LeakyRelu::LeakyRelu(const LeakyReluAttributes& a) : OpWith(a) {
  check(a.negative_slope >= 0, name(), ": negative_slope is ", a.negative_slope, ", expected 0 or more");
}

Specs LeakyRelu::infer(std::span<const Spec> x) const {
  expect_float(name(), x, 1);
  return {x[0]};
}

void LeakyRelu::forward(Inputs x, Outputs y, Context& context) const {
  apply(kernel::functions().leaky_relu, x[0], y[0], static_cast<float>(attributes.negative_slope));
  context.keep(y[0]);  // above 0 where the input is
}

void LeakyRelu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, derivative(kernel::functions().leaky_relu, context.kept(0), dy[0],
                       static_cast<float>(attributes.negative_slope)));
}

}  // namespace ops

Tensor leaky_relu(Tensor x, const LeakyReluAttributes& attributes) {
  return call(ops::LeakyRelu{attributes}, std::move(x));
}

}  // namespace sinter
