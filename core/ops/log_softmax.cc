#include "log_softmax.h"

#include <cmath>

#include "elementwise.h"
#include "lines.h"

namespace sinter {

namespace ops {

Specs LogSoftmax::infer(std::span<const Spec> x) const {
  expect_float("log_softmax", x, 1);
  normalize_axis(attributes.axis, x[0].shape.rank(), "log_softmax");
  return {x[0]};
}

void LogSoftmax::forward(Inputs x, Outputs y, Context& context) const {
  const Lines lines(x[0].shape(), normalize_axis(attributes.axis, x[0].rank(), "log_softmax"));
  const float* in = x[0].data<float>();
  float* out = y[0].mutable_data<float>();
  lines.each([&](int64_t line) {
    const int64_t begin = lines.offset(line), end = begin + lines.length * lines.stride;
    const float largest = lines.largest(in + begin);
    const auto log_sum = static_cast<float>(std::log(lines.exponentials(in + begin, largest, out + begin)));
    for (int64_t i = begin; i < end; i += lines.stride) out[i] = in[i] - largest - log_sum;
  });
  context.keep(y[0]);
}

void LogSoftmax::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor y = context.kept(0);
  const Lines lines(y.shape(), normalize_axis(attributes.axis, y.rank(), "log_softmax"));
  const float *logs = y.data<float>(), *gradient = dy[0].data<float>();
  float* out = dx.create(0).mutable_data<float>();
  lines.each([&](int64_t line) {  // g - exp(y) sum(g)
    const int64_t begin = lines.offset(line), end = begin + lines.length * lines.stride;
    const auto total = static_cast<float>(lines.sum(gradient + begin));
    lines.exponentials(logs + begin, 0, out + begin);
    for (int64_t i = begin; i < end; i += lines.stride) out[i] = gradient[i] - out[i] * total;
  });
}

}  // namespace ops

Tensor log_softmax(const Tensor& x, int64_t axis) { return call(ops::LogSoftmax{{axis}}, x); }

}  // namespace sinter
