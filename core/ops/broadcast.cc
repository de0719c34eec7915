#include "broadcast.h"

namespace sinter::ops {

namespace {

// The size of an axis of the result in an operand that may have fewer axes.
int64_t aligned(const Shape& shape, int axis, int rank) {
  const int own = axis - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}

}  // namespace

Shape broadcast_shape(std::string_view op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<int64_t, Shape::kMaxRank> sizes{};
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t size_a = aligned(a, axis, rank), size_b = aligned(b, axis, rank);
    check(size_a == size_b || size_a == 1 || size_b == 1, op, ": ", a, " and ", b,
          " do not broadcast, expected sizes that are equal or 1, counted from the last axis");
    sizes[axis] = size_a == 1 ? size_b : size_a;
  }
  return Shape(std::span<const int64_t>(sizes.data(), static_cast<size_t>(rank)));
}

BroadcastPlan::BroadcastPlan(const Shape& a, const Shape& b, const Shape& result) {
  // From the last axis outwards; reversed at the end.
  int64_t step_a = 1, step_b = 1;
  for (int axis = result.rank() - 1; axis >= 0; --axis) {
    const int64_t size = result[axis];
    const int64_t size_a = aligned(a, axis, result.rank()), size_b = aligned(b, axis, result.rank());
    const int64_t stride_a = size_a == 1 ? 0 : step_a, stride_b = size_b == 1 ? 0 : step_b;
    step_a *= size_a;
    step_b *= size_b;
    if (size == 1) continue;
    const bool merges = rank > 0 && stride_a == strides_a[rank - 1] * sizes[rank - 1] &&
                        stride_b == strides_b[rank - 1] * sizes[rank - 1];
    if (merges) {
      sizes[rank - 1] *= size;
    } else {
      sizes[rank] = size;
      strides_a[rank] = stride_a;
      strides_b[rank] = stride_b;
      ++rank;
    }
  }
  if (rank == 0) sizes[rank++] = 1;
  std::reverse(sizes.begin(), sizes.begin() + rank);
  std::reverse(strides_a.begin(), strides_a.begin() + rank);
  std::reverse(strides_b.begin(), strides_b.begin() + rank);
}

}  // namespace sinter::ops
