#include "gather.h"

#include "lines.h"

namespace sinter {

namespace ops {

Specs Gather::infer(std::span<const Spec> x) const {
  check(x.size() == 2, "gather: got ", x.size(), " inputs, expected 2");
  check(x[0].dtype == DType::float32, "gather: input 0 is ", x[0], ", expected float32");
  const int axis = normalize_axis(attributes.axis, x[0].shape.rank(), "gather");
  const bool fits = x[1].dtype == DType::int64 && x[1].shape.rank() == x[0].shape.rank() &&
                    x[1].shape.with(axis, 1) == x[0].shape.with(axis, 1);
  check(fits, "gather: inputs are ", x[0], " and ", x[1], ", expected an int64 index of the same shape but for axis ",
        axis);
  return {{DType::float32, x[1].shape}};
}

void Gather::forward(Inputs x, Outputs y, Context& context) const {
  const int axis = normalize_axis(attributes.axis, x[0].rank(), "gather");
  const Lines from(x[0].shape(), axis), to(y[0].shape(), axis);
  const float* in = x[0].data<float>();
  const auto* index = x[1].data<int64_t>();
  for (int64_t i = 0; i < x[1].elements(); ++i)
    check(index[i] >= 0 && index[i] < from.length, "gather: index ", index[i], " is none of the ", from.length,
          " of axis ", axis);
  float* out = y[0].mutable_data<float>();
  to.each([&](int64_t line) {
    const float* v = in + from.offset(line);
    for (int64_t i = 0, at = to.offset(line); i < to.length; ++i, at += to.stride) out[at] = v[index[at] * from.stride];
  });
  context.keep(x[1]);
}

void Gather::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (!dx.wanted(0)) return;
  const Shape& shape = context.input(0).shape;
  const int axis = normalize_axis(attributes.axis, shape.rank(), "gather");
  const Tensor kept = context.kept(0);
  Tensor result = Tensor::zeros(shape);
  const Lines from(shape, axis), to(kept.shape(), axis);
  const auto* index = kept.data<int64_t>();
  const float* gradient = dy[0].data<float>();
  float* out = result.mutable_data<float>();
  to.each([&](int64_t line) {
    float* v = out + from.offset(line);
    for (int64_t i = 0, at = to.offset(line); i < to.length; ++i, at += to.stride)
      v[index[at] * from.stride] += gradient[at];
  });
  dx.set(0, std::move(result));
}

}  // namespace ops

Tensor gather(const Tensor& x, const Tensor& index, int64_t axis) { return call(ops::Gather{{axis}}, x, index); }

}  // namespace sinter
