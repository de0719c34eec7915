#include "silu.h"

#include "elementwise.h"
#include "logistic.h"

namespace sinter::ops {

Specs Silu::infer(std::span<const Spec> x) const {
  expect_float("silu", x, 1);
  return {x[0]};
}

void Silu::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) { return v * logistic(v); });
  context.keep(x[0]);
}

void Silu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float x, float g) {
    const float s = logistic(x);
    return g * s * (1 + x * (1 - s));
  });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::silu(const Tensor& x) { return call(ops::Silu{}, x); }
