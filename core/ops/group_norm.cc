#include "group_norm.h"

#include "channels_last.h"
#include "elementwise.h"
#include "normalize.h"

namespace sinter {

namespace ops {

namespace {

NormalGroups groups_of(const GroupNormAttributes& a, const Shape& x) {
  const int64_t channels = x[-1], pixels = x.elements() == 0 ? 0 : x.elements() / x[0] / channels;
  return {x.elements() == 0 ? 0 : x[0] * a.groups, pixels, channels / a.groups, channels, pixels * channels, a.groups};
}

}  // namespace

GroupNorm::GroupNorm(const GroupNormAttributes& a) : OpWith(a) {
  check(a.groups >= 1, "group_norm: groups is ", a.groups, ", expected at least 1");
  check(a.eps > 0, "group_norm: eps is ", a.eps, ", expected above 0");
}

Specs GroupNorm::infer(std::span<const Spec> x) const {
  check(!x.empty() && x.size() <= 3, "group_norm: got ", x.size(), " inputs, expected x, and perhaps weight and bias");
  expect_float("group_norm", x, x.size());
  const Shape& input = x[0].shape;
  check(input.rank() >= 2 && input[-1] % attributes.groups == 0, "group_norm: input is ", input,
        ", expected [N,...,C] with channels that ", attributes.groups, " groups divide");
  for (size_t i = 1; i < x.size(); ++i)
    check(x[i].shape == Shape{input[-1]}, "group_norm: ", i == 1 ? "weight" : "bias", " is ", x[i].shape,
          ", expected [", input[-1], "]", x[i].shape.rank() == 1 ? nchw_hint(input, x[i].shape[0]) : std::string());
  return {x[0]};
}

void GroupNorm::forward(Inputs x, Outputs y, Context& context) const {
  normalize(groups_of(attributes, x[0].shape()), attributes.eps, x, y, context);
}

void GroupNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  normalize_backward(groups_of(attributes, context.input(0).shape), context, dy, dx);
}

}  // namespace ops

Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const GroupNormAttributes& attributes) {
  const ops::GroupNorm op{attributes};
  check(weight.defined() || !bias.defined(), "group_norm: there is a bias, but no weight");
  if (bias.defined()) return call(op, x, weight, bias);
  return weight.defined() ? call(op, x, weight) : call(op, x);
}

}  // namespace sinter
