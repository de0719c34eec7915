#include "prelu.h"

#include "../repeated.h"
#include "channels_last.h"
#include "elementwise.h"
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
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  const Repeated<float> weights(x[1].data<float>(), x[1].elements());
  parallel_for(x[0].elements(), kElementwiseGrain, [&, prelu = kernel::functions().prelu](int64_t begin, int64_t end) {
    weights.each(begin, end, [&](int64_t at, int64_t count, const float* w) { prelu(in + at, w, count, out + at); });
  });
  context.keep(x[0]);
  context.keep(x[1]);
}

void Prelu::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  const float *in = x.data<float>(), *gradient = dy[0].data<float>();
  const auto& kernels = kernel::functions();
  if (dx.wanted(1)) {
    Tensor products = Tensor::empty(x.shape());
    float* out = products.mutable_data<float>();
    parallel_for(x.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      kernels.prelu_weight(in + begin, gradient + begin, end - begin, out + begin);
    });
    dx.set(1, sum_to(products, weight.shape()));
  }
  if (!dx.wanted(0)) return;
  Tensor result = reuse_or_empty(dy[0]);
  float* out = result.mutable_data<float>();
  const Repeated<float> weights(weight.data<float>(), weight.elements());
  parallel_for(x.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    weights.each(begin, end, [&](int64_t at, int64_t count, const float* w) {
      kernels.prelu_backward(in + at, w, gradient + at, count, out + at);
    });
  });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::prelu(const Tensor& x, const Tensor& weight) { return call(ops::Prelu{}, x, weight); }
