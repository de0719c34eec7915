#include "reshape.h"

#include "view.h"

namespace sinter {

namespace ops {

Specs Reshape::infer(std::span<const Spec> x) const {
  check(x.size() == 1, "reshape: got ", x.size(), " inputs, expected 1");
  const Shape& from = x[0].shape;
  const Field wanted{"shape", attributes.shape};
  std::vector<int64_t> sizes = attributes.shape;
  // Kept axes are left out of both products, so that -1 has a meaning in an empty batch, too.
  int64_t left = 1, named = 1;
  int64_t* rest = nullptr;
  for (int axis = 0; axis < from.rank(); ++axis)
    if (axis >= static_cast<int>(sizes.size()) || sizes[axis] != 0) left *= from[axis];
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    int64_t& size = sizes[axis];
    if (size == 0) {
      check(static_cast<int>(axis) < from.rank(), "reshape: input is ", from, ", ", wanted, " keeps axis ", axis,
            ", which it does not have");
      size = from[static_cast<int>(axis)];
    } else if (size == -1) {
      check(rest == nullptr, "reshape: ", wanted, ", expected at most one -1");
      rest = &size;
    } else {
      check(size > 0, "reshape: ", wanted, ", expected sizes, 0 for axes that stay, or one -1");
      check(!__builtin_mul_overflow(named, size, &named), "reshape: ", wanted, " has more than 2^63 elements");
    }
  }
  const bool fits = rest != nullptr ? left % named == 0 : left == named;
  check(fits, "reshape: input is ", from, ", whose elements do not fill ", wanted);
  if (rest != nullptr) *rest = left / named;
  return {{x[0].dtype, Shape(sizes)}};
}

void Reshape::backward(const Context& context, Outputs dy, Gradients& dx) const {
  dx.set(0, view(dy[0], context.input(0).shape));
}

}  // namespace ops

Tensor reshape(const Tensor& x, std::vector<int64_t> shape) { return call(ops::Reshape{{std::move(shape)}}, x); }

}  // namespace sinter
