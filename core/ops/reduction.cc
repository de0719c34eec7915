#include "reduction.h"

namespace sinter::ops {

ReductionPlan::ReductionPlan(const Shape& x, const AxisMask& mask) {
  int64_t stride = 1;
  int previous = -1;
  for (int axis = x.rank() - 1; axis >= 0; --axis) {
    const int64_t size = x[axis];
    const int kind = mask[axis] ? 1 : 0;
    auto& axes = mask[axis] ? reduced : kept;
    if (previous == -1) {
      row = size;
      row_reduced = mask[axis];
    } else if (kind == previous && axes.empty()) {
      row *= size;  // still part of the last group
    } else if (kind == previous) {
      axes.back().size *= size;
    } else {
      axes.push_back({size, stride});
    }
    previous = kind;
    stride *= size;
  }
  std::reverse(kept.begin(), kept.end());
  std::reverse(reduced.begin(), reduced.end());
  for (const Axis& axis : kept) kept_count *= axis.size;
  for (const Axis& axis : reduced) reduced_count *= axis.size;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  AxisMask mask{};
  const int extra = x.rank() - shape.rank();
  for (int axis = 0; axis < x.rank(); ++axis)
    mask[axis] = axis < extra || (shape[axis - extra] == 1 && x.size(axis) != 1);
  Tensor result = Tensor::empty(shape);
  reduce(
      x, mask, 0.0, [](double a, double b) { return a + b; }, result);
  return result;
}

}  // namespace sinter::ops
