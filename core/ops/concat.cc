#include "concat.h"

#include "../autograd.h"
#include "runs.h"

namespace sinter {

namespace ops {

Specs Concat::infer(std::span<const Spec> x) const {
  check(!x.empty(), "concat: got no inputs, expected at least 1");
  const int axis = normalize_axis(attributes.axis, x[0].shape.rank(), "concat");
  int64_t size = 0;
  for (const Spec& spec : x) {
    const bool fits = spec.dtype == x[0].dtype && spec.shape.rank() == x[0].shape.rank() &&
                      spec.shape.with(axis, 0) == x[0].shape.with(axis, 0);
    check(fits, "concat: inputs are ", x[0], " and ", spec, ", expected one type and, but for axis ", axis,
          ", one shape");
    size += spec.shape[axis];
  }
  return {{x[0].dtype, x[0].shape.with(axis, size)}};
}

void Concat::forward(Inputs x, Outputs y, Context&) const {
  const int axis = normalize_axis(attributes.axis, y[0].rank(), "concat");
  const int64_t step = run_bytes(y[0].spec(), axis), count = runs(y[0].shape(), axis);
  std::byte* out = detail::Access::storage(y[0])->data();
  for (const Tensor& part : x) {
    const int64_t bytes = run_bytes(part.spec(), axis);
    copy_runs(detail::Access::storage(part)->data(), bytes, out, step, bytes, count);
    out += bytes;
  }
}

void Concat::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const int axis = normalize_axis(attributes.axis, dy[0].rank(), "concat");
  const int64_t step = run_bytes(dy[0].spec(), axis), count = runs(dy[0].shape(), axis);
  const std::byte* in = detail::Access::storage(dy[0])->data();
  for (size_t i = 0; i < dx.size(); ++i) {
    const int64_t bytes = run_bytes({DType::float32, context.input(i).shape}, axis);
    if (dx.wanted(i)) copy_runs(in, step, detail::Access::storage(dx.create(i))->data(), bytes, bytes, count);
    in += bytes;
  }
}

}  // namespace ops

Tensor concat(const std::vector<Tensor>& x, int64_t axis) {
  return call_all(std::make_shared<const ops::Concat>(ConcatAttributes{axis}), x)[0];
}

}  // namespace sinter
