#include "elementwise.h"

namespace sinter::ops {

void expect_float(std::string_view op, std::span<const Spec> x, size_t count) {
  check(x.size() == count, op, ": got ", x.size(), " inputs, expected ", count);
  for (size_t i = 0; i < x.size(); ++i)
    check(x[i].dtype == DType::float32, op, ": input ", i, " is ", x[i], ", expected float32");
}

void apply(const kernel::Function& f, const Tensor& x, Tensor& y, float a, float b) {
  const float* in = x.data<float>();
  float* out = y.mutable_data<float>();
  parallel_for(x.elements(), kElementwiseGrain,
               [&](int64_t begin, int64_t end) { f.forward(in + begin, end - begin, a, b, out + begin); });
}

Tensor derivative(const kernel::Function& f, const Tensor& kept, const Tensor& dy, float a, float b) {
  Tensor dx = reuse_or_empty(dy);
  const float *at = kept.data<float>(), *in = dy.data<float>();
  float* out = dx.mutable_data<float>();
  parallel_for(dy.elements(), kElementwiseGrain,
               [&](int64_t begin, int64_t end) { f.backward(at + begin, in + begin, end - begin, a, b, out + begin); });
  return dx;
}

}  // namespace sinter::ops
