#include "hardswish.h"

#include "elementwise.h"

namespace sinter::ops {

Specs Hardswish::infer(std::span<const Spec> x) const {
  expect_float("hardswish", x, 1);
  return {x[0]};
}

void Hardswish::forward(Inputs x, Outputs y, Context& context) const {
  map(x[0], y[0], [](float v) {
    const float shifted = v + 3;
    const float low = shifted < 0 ? 0.0f : shifted;
    return v * ((low > 6 ? 6.0f : low) / 6);
  });
  context.keep(x[0]);
}

void Hardswish::backward(const Context& context, Outputs dy, Gradients& dx) const {
  Tensor result = reuse_or_empty(dy[0]);
  map(context.kept(0), dy[0], result, [](float x, float g) {
    const float low = x < -3 ? -3.0f : x;
    const float clamped = low > 3 ? 3.0f : low;
    const float high_offset = x < 3 ? 0.5f : 0.0f;
    return g * (clamped / 3 + (x < -3 ? 1.0f : high_offset));
  });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::hardswish(const Tensor& x) { return call(ops::Hardswish{}, x); }
