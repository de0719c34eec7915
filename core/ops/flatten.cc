#include "flatten.h"

#include "view.h"

namespace sinter {

namespace ops {

Specs Flatten::infer(std::span<const Spec> x) const {
  check(x.size() == 1, "flatten: got ", x.size(), " inputs, expected 1");
  const Shape& shape = x[0].shape;
  const int start = normalize_axis(attributes.start_axis, shape.rank(), "flatten");
  std::vector<int64_t> sizes(shape.begin(), shape.begin() + start);
  int64_t rest = 1;
  for (int axis = start; axis < shape.rank(); ++axis) rest *= shape[axis];
  sizes.push_back(rest);
  return {{x[0].dtype, Shape(sizes)}};
}

void Flatten::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, view(dy[0], context.input(0).shape));
}

}  // namespace ops

Tensor flatten(const Tensor& x, int64_t start_axis) { return call(ops::Flatten{{start_axis}}, x); }

}  // namespace sinter
