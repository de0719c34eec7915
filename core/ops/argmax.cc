#include "argmax.h"

#include <cmath>

#include "elementwise.h"
#include "lines.h"

namespace sinter {

namespace ops {

Specs Argmax::infer(std::span<const Spec> x) const {
  expect_float("argmax", x, 1);
  const Shape& shape = x[0].shape;
  const int axis = normalize_axis(attributes.axis, shape.rank(), "argmax");
  check(shape[axis] > 0, "argmax: input is ", shape, ", expected at least one element to choose from");
  if (attributes.keep) return {{DType::int64, shape.with(axis, 1)}};
  std::vector<int64_t> sizes(shape.begin(), shape.end());
  sizes.erase(sizes.begin() + axis);
  return {{DType::int64, Shape(sizes)}};
}

void Argmax::forward(Inputs x, Outputs y, Context&) const {
  const Lines lines(x[0].shape(), normalize_axis(attributes.axis, x[0].rank(), "argmax"));
  const float* in = x[0].data<float>();
  auto* out = y[0].mutable_data<int64_t>();
  lines.each([&](int64_t line) {
    const float* v = in + lines.offset(line);
    int64_t best = 0;
    for (int64_t i = 1; i < lines.length && !std::isnan(v[best * lines.stride]); ++i) {
      const float value = v[i * lines.stride];
      if (value > v[best * lines.stride] || std::isnan(value)) best = i;
    }
    out[line] = best;
  });
}

}  // namespace ops

Tensor argmax(const Tensor& x, int64_t axis, bool keep) { return call(ops::Argmax{{axis, keep}}, x); }

}  // namespace sinter
