#include "relu.h"

#include "../parallel.h"
#include "elementwise.h"

namespace sinter::ops {

Specs Relu::infer(std::span<const Spec> x) const {
  expect_float("relu", x, 1);
  return {x[0]};
}

void Relu::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) { return v < 0 ? 0.0f : v; });
  context.keep(y[0]);  // the mask can be read from the output
}

void Relu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float y, float g) { return y > 0 ? g : 0.0f; });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::relu(Tensor x) { return call(ops::Relu{}, std::move(x)); }
