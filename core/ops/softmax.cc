#include "softmax.h"

#include "elementwise.h"
#include "lines.h"

namespace sinter {

namespace ops {

Specs Softmax::infer(std::span<const Spec> x) const {
  expect_float("softmax", x, 1);
  normalize_axis(attributes.axis, x[0].shape.rank(), "softmax");
  return {x[0]};
}

void Softmax::forward(Inputs x, Outputs y, Context& context) const {
  const Lines lines(x[0].shape(), normalize_axis(attributes.axis, x[0].rank(), "softmax"));
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  lines.each([&](int64_t line) {
    const float* v = in + lines.offset(line);
    float* p = out + lines.offset(line);
    const int64_t end = lines.length * lines.stride;
    const auto inverse = static_cast<float>(1 / lines.exponentials(v, lines.largest(v), p));
    for (int64_t i = 0; i < end; i += lines.stride) p[i] *= inverse;
  });
  context.keep(y[0]);
}

void Softmax::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor y = context.kept(0);
  const Lines lines(y.shape(), normalize_axis(attributes.axis, y.rank(), "softmax"));
  const float *probabilities = y.data<float>(), *gradient = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  lines.each([&](int64_t line) {  // p (g - sum(p g))
    const int64_t begin = lines.offset(line), end = begin + lines.length * lines.stride;
    const auto mean = static_cast<float>(lines.dot(probabilities + begin, gradient + begin));
    for (int64_t i = begin; i < end; i += lines.stride) out[i] = probabilities[i] * (gradient[i] - mean);
  });
}

}  // namespace ops

Tensor softmax(const Tensor& x, int64_t axis) { return call(ops::Softmax{{axis}}, x); }

}  // namespace sinter
