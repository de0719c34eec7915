#pragma once
// Private: reductions over any axes in fixed blocks, so that no bit depends on the number of threads.

#include <algorithm>
#include <array>
#include <vector>

#include "elementwise.h"

namespace sinter::ops {

/// Which axes of a shape are reduced.
using AxisMask = std::array<bool, Shape::kMaxRank>;

/// A shape as [kept..., reduced...] groups: neighbours of the same kind are one axis.
struct ReductionPlan {
  ReductionPlan(const Shape& x, const AxisMask& reduced);

  struct Axis {
    int64_t size, stride;
  };
  std::vector<Axis> kept, reduced;  // outer first, without the last axis of x
  int64_t kept_count = 1, reduced_count = 1;
  int64_t row = 1;  // size of the last axis
  bool row_reduced = false;
};

inline int64_t offset_in(const std::vector<ReductionPlan::Axis>& axes, int64_t index) {
  int64_t offset = 0;
  for (size_t i = axes.size(); i-- > 0;) {
    offset += index % axes[i].size * axes[i].stride;
    index /= axes[i].size;
  }
  return offset;
}

/// y = combine over the reduced axes of x, started from `initial`, in type A. `combine` is associative but for
/// rounding.
template <class A, class Combine>
void reduce(const Tensor& x, const AxisMask& mask, A initial, const Combine& combine, Tensor& y) {
  constexpr int64_t kLanes = 16;
  constexpr int64_t kBlockElements = 1 << 14;
  const ReductionPlan plan(x.shape(), mask);
  const float* in = x.data<float>();
  float* out = y.mutable_data<float>();
  if (y.elements() == 0) return;
  if (x.elements() == 0) return std::fill(out, out + y.elements(), static_cast<float>(initial));

  const int64_t width = plan.row_reduced ? 1 : plan.row;  // results of one kept index
  const int64_t rows_per_block = std::max<int64_t>(1, kBlockElements / plan.row);
  const int64_t blocks = (plan.reduced_count + rows_per_block - 1) / rows_per_block;
  std::vector<A> partial(static_cast<size_t>(plan.kept_count * blocks * width), initial);
  const int64_t grain =
      std::max<int64_t>(1, kBlockElements / (plan.row * std::min(rows_per_block, plan.reduced_count)));
  parallel_for(plan.kept_count * blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % blocks * rows_per_block;
      const int64_t last = std::min(first + rows_per_block, plan.reduced_count);
      const float* base = in + offset_in(plan.kept, task / blocks);
      A* sums = partial.data() + task * width;
      for (int64_t r = first; r < last; ++r) {
        const float* p = base + offset_in(plan.reduced, r);
        if (!plan.row_reduced) {
          for (int64_t i = 0; i < width; ++i) sums[i] = combine(sums[i], static_cast<A>(p[i]));
          continue;
        }
        std::array<A, kLanes> lanes;
        lanes.fill(initial);
        int64_t i = 0;
        for (; i + kLanes <= plan.row; i += kLanes)
          for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] = combine(lanes[lane], static_cast<A>(p[i + lane]));
        for (int64_t lane = 0; i < plan.row; ++i, ++lane) lanes[lane] = combine(lanes[lane], static_cast<A>(p[i]));
        for (const A lane : lanes) *sums = combine(*sums, lane);
      }
    }
  });
  for (int64_t k = 0; k < plan.kept_count; ++k) {
    A* sums = partial.data() + k * blocks * width;
    for (int64_t block = 1; block < blocks; ++block)
      for (int64_t i = 0; i < width; ++i) sums[i] = combine(sums[i], sums[block * width + i]);
    for (int64_t i = 0; i < width; ++i) out[k * width + i] = static_cast<float>(sums[i]);
  }
}

/// The sum of x over the axes that were broadcast from `shape`: x itself where there are none.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace sinter::ops
