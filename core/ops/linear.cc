#include "linear.h"

#include "../gemm.h"
#include "channels_last.h"
#include "elementwise.h"
#include "reduction.h"

namespace sinter {

namespace ops {

Specs Linear::infer(std::span<const Spec> x) const {
  check(x.size() == 2 || x.size() == 3, "linear: got ", x.size(), " inputs, expected input, weight and perhaps bias");
  expect_float("linear", x, x.size());
  const Shape &input = x[0].shape, &weight = x[1].shape;
  check(weight.rank() == 2, "linear: weight is ", weight, ", expected [O,I]");
  check(input.rank() >= 1 && input[-1] == weight[1], "linear: input is ", input, ", expected ", weight[1],
        " values on the last axis, as weight is ", weight, " ([O,I])",
        input.rank() >= 1 && input[-1] == weight[0] ? "; is the weight [I,O]? It is [O,I] here" : "",
        nchw_hint(input, weight[1]));
  if (x.size() == 3)
    check(x[2].shape == Shape({weight[0]}), "linear: bias is ", x[2].shape, ", expected [", weight[0], "]");
  return {{DType::float32, input.with(-1, weight[0])}};
}

void Linear::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  const int64_t in = x[1].size(1), out = x[1].size(0), rows = y[0].elements() / std::max<int64_t>(out, 1);
  float* result = y[0].mutable_data<float>();
  const bool biased = x.size() == 3;
  if (biased)
    for (int64_t row = 0; row < rows; ++row) std::copy_n(x[2].data<float>(), out, result + row * out);
  onednn::gemm({.rows = rows, .columns = out, .depth = in, .transpose_b = true, .accumulate = biased},
               x[0].data<float>(), x[1].data<float>(), result);
}

void Linear::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  const int64_t in = weight.size(1), out = weight.size(0), rows = dy[0].elements() / std::max<int64_t>(out, 1);
  const float* g = dy[0].data<float>();
  if (dx.wanted(0))
    onednn::gemm({.rows = rows, .columns = in, .depth = out}, g, weight.data<float>(),
                 dx.create(0).mutable_data<float>());
  if (dx.wanted(1))
    onednn::gemm({.rows = out, .columns = in, .depth = rows, .transpose_a = true}, g, x.data<float>(),
                 dx.create(1).mutable_data<float>());
  if (dx.size() == 3 && dx.wanted(2)) dx.set(2, sum_to(dy[0], {out}));
}

int64_t Linear::macs(std::span<const Spec> x) const { return x[0].shape.elements() * x[1].shape[0]; }

}  // namespace ops

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (bias.defined()) return call(ops::Linear{}, x, weight, bias);
  return call(ops::Linear{}, x, weight);
}

}  // namespace sinter
