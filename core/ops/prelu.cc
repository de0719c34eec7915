#include "prelu.h"

#include "broadcast.h"
#include "channels_last.h"
#include "reduction.h"

namespace sinter::ops {

Specs Prelu::infer(std::span<const Spec> x) const {
  expect_float("prelu", x, 2);
  const Shape &input = x[0].shape, &weight = x[1].shape;
  check(input.rank() >= 1, "prelu: input is ", input, ", expected [...,C]");
  check(weight == Shape{input[-1]} || weight == Shape{1}, "prelu: weight is ", weight, ", expected [", input[-1],
        "] or [1]", weight.rank() == 1 ? nchw_hint(input, weight[0]) : std::string());
  return {x[0]};
}

void Prelu::forward(Inputs x, Outputs y, Context& context) const {
  broadcast_map(x[0], x[1], y[0], [](float v, float w) { return v > 0 ? v : v * w; });
  context.keep(x[0]);
  context.keep(x[1]);
}

void Prelu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  Tensor product = Tensor::empty(x.shape());
  if (dx.wanted(1)) {
    map(x, dy[0], product, [](float v, float g) { return v > 0 ? 0.0f : v * g; });
    dx.set(1, sum_to(product, weight.shape()));
  }
  if (!dx.wanted(0)) return;
  Tensor slope = reuse_or_empty(product);
  broadcast_map(x, weight, slope, [](float v, float w) { return v > 0 ? 1.0f : w; });
  map(slope, dy[0], slope, [](float s, float g) { return s * g; });
  dx.set(0, std::move(slope));
}

}  // namespace sinter::ops

sinter::Tensor sinter::prelu(const Tensor& x, const Tensor& weight) { return call(ops::Prelu{}, x, weight); }
