#include "relu6.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Relu6::infer(std::span<const Spec> x) const {
  expect_float("relu6", x, 1);
  return {x[0]};
}

void Relu6::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) {
    const float low = v < 0 ? 0.0f : v;
    return low > 6 ? 6.0f : low;
  });
  context.keep(y[0]);  // the mask can be read from the output
}

void Relu6::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float y, float g) { return y > 0 && y < 6 ? g : 0.0f; });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::relu6(Tensor x) { return call(ops::Relu6{}, std::move(x)); }
