#pragma once
// Private: loops over two operands of different shapes, as NumPy broadcasts them.

#include <algorithm>
#include <array>

#include "elementwise.h"

namespace sinter::ops {

/// The shape of a combination of `a` and `b`. Throws Error, starting with `op`, when an axis differs and is not 1.
Shape broadcast_shape(std::string_view op, const Shape& a, const Shape& b);

/// How to walk two operands in the order of the result: axes that both cross in the same way are merged.
struct BroadcastPlan {
  BroadcastPlan(const Shape& a, const Shape& b, const Shape& result);

  int rank = 0;  // at least 1; the last axis has strides of 0 or 1
  std::array<int64_t, Shape::kMaxRank> sizes{}, strides_a{}, strides_b{};
};

/// y = f(a, b), element by element of y, whose shape is the broadcast one.
template <class F>
void broadcast_map(const Tensor& a, const Shape& shape_a, const Tensor& b, const Shape& shape_b, Tensor& y,
                   const F& f) {
  const BroadcastPlan plan(shape_a, shape_b, y.shape());
  const float* in_a = a.data<float>();
  const float* in_b = b.data<float>();
  float* out = y.mutable_data<float>();
  const int last = plan.rank - 1;
  const int64_t inner = plan.sizes[last];
  const bool steps_a = plan.strides_a[last] != 0, steps_b = plan.strides_b[last] != 0;
  parallel_for(y.elements(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    // Where row begin / inner starts in both; each next one by counting, as divisions take longer than a short row.
    std::array<int64_t, Shape::kMaxRank> index{};
    int64_t offset_a = 0, offset_b = 0, row = begin / inner;
    for (int axis = last - 1; axis >= 0; --axis) {
      index[axis] = row % plan.sizes[axis];
      row /= plan.sizes[axis];
      offset_a += index[axis] * plan.strides_a[axis];
      offset_b += index[axis] * plan.strides_b[axis];
    }
    int64_t start = begin % inner;
    for (int64_t at = begin; at < end;) {
      const int64_t count = std::min(inner - start, end - at);
      const float* pa = in_a + offset_a + (steps_a ? start : 0);
      const float* pb = in_b + offset_b + (steps_b ? start : 0);
      float* py = out + at;
      const float first_a = *pa, first_b = *pb;  // y may be where they are
      if (steps_a && steps_b) {
        SINTER_INDEPENDENT
        for (int64_t i = 0; i < count; ++i) py[i] = f(pa[i], pb[i]);
      } else if (steps_a) {
        SINTER_INDEPENDENT
        for (int64_t i = 0; i < count; ++i) py[i] = f(pa[i], first_b);
      } else if (steps_b) {
        SINTER_INDEPENDENT
        for (int64_t i = 0; i < count; ++i) py[i] = f(first_a, pb[i]);
      } else {
        std::fill(py, py + count, f(first_a, first_b));
      }
      at += count;
      start = 0;
      for (int axis = last - 1; axis >= 0; --axis) {
        offset_a += plan.strides_a[axis];
        offset_b += plan.strides_b[axis];
        if (++index[axis] < plan.sizes[axis]) break;
        offset_a -= index[axis] * plan.strides_a[axis];
        offset_b -= index[axis] * plan.strides_b[axis];
        index[axis] = 0;
      }
    }
  });
}

template <class F>
void broadcast_map(const Tensor& a, const Tensor& b, Tensor& y, const F& f) {
  broadcast_map(a, a.shape(), b, b.shape(), y, f);
}

}  // namespace sinter::ops
