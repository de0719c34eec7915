#include "sigmoid.h"

#include "elementwise.h"
#include "logistic.h"

namespace sinter::ops {

Specs Sigmoid::infer(std::span<const Spec> x) const {
  expect_float("sigmoid", x, 1);
  return {x[0]};
}

void Sigmoid::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], logistic);
  context.keep(y[0]);
}

void Sigmoid::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float y, float g) { return g * y * (1 - y); });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::sigmoid(Tensor x) { return call(ops::Sigmoid{}, std::move(x)); }
