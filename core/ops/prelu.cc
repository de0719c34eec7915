#include "prelu.h"

#include <algorithm>
#include <vector>

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

namespace {

// f(begin, count, weights beside the values from `begin` on) for ranges that cover x: weights are repeated, as a vector
// may hold several times the channels.
template <class F>
void with_weights(const Tensor& x, const Tensor& weight, const F& f) {
  constexpr int64_t kAtLeast = 1 << 10;
  const int64_t channels = weight.elements();
  if (x.elements() == 0) return;
  const int64_t period = (kAtLeast + channels - 1) / channels * channels;
  std::vector<float> repeated(static_cast<size_t>(period));
  for (int64_t i = 0; i < period; i += channels) std::copy_n(weight.data<float>(), channels, repeated.begin() + i);
  parallel_for(x.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t first = begin % period, count = std::min(period - first, end - begin);
      f(begin, count, repeated.data() + first);
      begin += count;
    }
  });
}

}  // namespace

void Prelu::forward(Inputs x, Outputs y, Context& context) const {
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  with_weights(x[0], x[1], [&, prelu = kernel::functions().prelu](int64_t begin, int64_t count, const float* w) {
    prelu(in + begin, w, count, out + begin);
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
  with_weights(x, weight, [&](int64_t begin, int64_t count, const float* w) {
    kernels.prelu_backward(in + begin, w, gradient + begin, count, out + begin);
  });
  dx.set(0, std::move(result));
}

}  // namespace sinter::ops

sinter::Tensor sinter::prelu(const Tensor& x, const Tensor& weight) { return call(ops::Prelu{}, x, weight); }
