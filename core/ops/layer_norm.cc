#include "layer_norm.h"

#include "elementwise.h"
#include "normalize.h"

namespace sinter {

namespace ops {

namespace {

Shape last_axes(const LayerNormAttributes& a, const Shape& x) {
  check(x.rank() >= a.axes, "layer_norm: input is ", x, ", expected at least ", a.axes, " axes");
  return Shape(std::span<const int64_t>(x.end() - a.axes, x.end()));
}

NormalGroups groups_of(const LayerNormAttributes& a, const Shape& x) {
  const int64_t length = last_axes(a, x).elements(), count = length == 0 ? 0 : x.elements() / length;
  return {count, 1, length, length, length, 1};
}

}  // namespace

LayerNorm::LayerNorm(const LayerNormAttributes& a) : OpWith(a) {
  check(a.axes >= 1 && a.axes <= Shape::kMaxRank, "layer_norm: axes is ", a.axes, ", expected at least 1");
  check(a.eps > 0, "layer_norm: eps is ", a.eps, ", expected above 0");
}

Specs LayerNorm::infer(std::span<const Spec> x) const {
  check(!x.empty() && x.size() <= 3, "layer_norm: got ", x.size(), " inputs, expected x, and perhaps weight and bias");
  expect_float("layer_norm", x, x.size());
  const Shape last = last_axes(attributes, x[0].shape);
  for (size_t i = 1; i < x.size(); ++i)
    check(x[i].shape == last, "layer_norm: ", i == 1 ? "weight" : "bias", " is ", x[i].shape, ", expected ", last,
          ", as the input is ", x[0].shape);
  return {x[0]};
}

void LayerNorm::forward(Inputs x, Outputs y, Context& context) const {
  normalize(groups_of(attributes, x[0].shape()), attributes.eps, x, y, context);
}

void LayerNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  normalize_backward(groups_of(attributes, context.input(0).shape), context, dy, dx);
}

}  // namespace ops

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const LayerNormAttributes& attributes) {
  const ops::LayerNorm op{attributes};
  check(weight.defined() || !bias.defined(), "layer_norm: there is a bias, but no weight");
  if (bias.defined()) return call(op, x, weight, bias);
  return weight.defined() ? call(op, x, weight) : call(op, x);
}

}  // namespace sinter
