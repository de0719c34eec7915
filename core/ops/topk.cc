#include "topk.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "elementwise.h"
#include "lines.h"

namespace sinter {

namespace ops {

TopK::TopK(const TopKAttributes& a) : OpWith(a) { check(a.k >= 1, "topk: k is ", a.k, ", expected at least 1"); }

Specs TopK::infer(std::span<const Spec> x) const {
  expect_float("topk", x, 1);
  const int axis = normalize_axis(attributes.axis, x[0].shape.rank(), "topk");
  const int64_t k = attributes.k;
  check(k <= x[0].shape[axis], "topk: input is ", x[0].shape, ", expected at least k = ", k, " values along axis ",
        axis);
  const Shape y = x[0].shape.with(axis, k);
  return {{DType::float32, y}, {DType::int64, y}};
}

void TopK::forward(Inputs x, Outputs y, Context& context) const {
  const int axis = normalize_axis(attributes.axis, x[0].rank(), "topk");
  const Lines from(x[0].shape(), axis), to(y[0].shape(), axis);
  const float* in = x[0].data<float>();
  float* values = y[0].mutable_data<float>();
  auto* indices = y[1].mutable_data<int64_t>();
  from.each([&](int64_t line) {
    const float* v = in + from.offset(line);
    const auto before = [&](int64_t i, int64_t j) {
      const float a = v[i * from.stride], b = v[j * from.stride];
      if (std::isnan(a) || std::isnan(b)) {
        if (std::isnan(a) && std::isnan(b)) return i < j;
        return std::isnan(a) == attributes.largest;
      }
      return a == b ? i < j : (a > b) == attributes.largest;
    };
    std::vector<int64_t> order(static_cast<size_t>(from.length));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + to.length, order.end(), before);
    int64_t at = to.offset(line);
    for (int64_t i = 0; i < to.length; ++i, at += to.stride) {
      indices[at] = order[static_cast<size_t>(i)];
      values[at] = v[indices[at] * from.stride];
    }
  });
  context.keep(y[1]);
}

void TopK::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Shape& shape = context.input(0).shape;
  const int axis = normalize_axis(attributes.axis, shape.rank(), "topk");
  const Tensor kept = context.kept(0);
  Tensor result = Tensor::zeros(shape);
  const Lines from(shape, axis), to(kept.shape(), axis);
  const auto* index = kept.data<int64_t>();
  const float* gradient = dy[0].data<float>();
  float* out = result.mutable_data<float>();
  to.each([&](int64_t line) {
    float* v = out + from.offset(line);
    for (int64_t i = 0, at = to.offset(line); i < to.length; ++i, at += to.stride)
      v[index[at] * from.stride] = gradient[at];
  });
  dx.set(0, std::move(result));
}

}  // namespace ops

TopK topk(const Tensor& x, const TopKAttributes& attributes) {
  const std::vector<Tensor> y = call_all(std::make_shared<const ops::TopK>(attributes), {x});
  return {y[0], y[1]};
}

}  // namespace sinter
