#include "where.h"

#include "broadcast.h"
#include "reduction.h"

namespace sinter {

namespace ops {

namespace {

// As if it had the shape.
Tensor expanded(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Tensor result = Tensor::empty(shape);
  broadcast_map(x, x, result, [](float v, float) { return v; });
  return result;
}

}  // namespace

Specs Where::infer(std::span<const Spec> x) const {
  expect_float("where", x, 3);
  const Shape both = broadcast_shape("where", x[1].shape, x[2].shape);
  return {{DType::float32, broadcast_shape("where", x[0].shape, both)}};
}

void Where::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  const Tensor c = expanded(x[0], y[0].shape()), a = expanded(x[1], y[0].shape()), b = expanded(x[2], y[0].shape());
  const float *condition = c.data<float>(), *yes = a.data<float>(), *no = b.data<float>();
  float* out = y[0].mutable_data<float>();
  parallel_for(y[0].elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    SINTER_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) {
      const float v = yes[i], w = no[i];  // both: a choice of vectors is no branch
      out[i] = condition[i] != 0 ? v : w;
    }
  });
}

void Where::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dx.wanted(0)) dx.set(0, Tensor::zeros(context.input(0).shape));
  Tensor chosen = Tensor::empty(dy[0].shape());
  if (dx.wanted(1)) {
    broadcast_map(context.kept(0), dy[0], chosen, [](float c, float g) { return c != 0 ? g : 0.0f; });
    dx.set(1, sum_to(chosen, context.input(1).shape));
  }
  if (!dx.wanted(2)) return;
  Tensor others = Tensor::empty(dy[0].shape());
  broadcast_map(context.kept(0), dy[0], others, [](float c, float g) { return c != 0 ? 0.0f : g; });
  dx.set(2, sum_to(others, context.input(2).shape));
}

}  // namespace ops

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) { return call(ops::Where{}, condition, a, b); }
Tensor where(const Tensor& condition, const Tensor& a, double b) { return where(condition, a, Tensor::full({}, b)); }
Tensor where(const Tensor& condition, double a, const Tensor& b) { return where(condition, Tensor::full({}, a), b); }

}  // namespace sinter
