#pragma once
// Private: reductions over any axes but the batch's.

#include <vector>

#include "../../core/error.h"
#include "../../core/ops/reduce.h"
#include "../../core/parallel.h"
#include "layer.h"

namespace sinter::quant {

/// By axis, whether it is reduced: those that are named, or all.
inline std::vector<bool> reduced_axes(const ReduceAttributes& a, int rank) {
  std::vector<bool> reduced(static_cast<size_t>(rank), a.axes.empty());
  for (const int64_t axis : a.axes) reduced[static_cast<size_t>(normalize_axis(axis, rank, "reduction"))] = true;
  return reduced;
}

/// How many values of x each result is made of.
inline int64_t reduced_count(const ReduceAttributes& a, const Shape& x) {
  const std::vector<bool> reduced = reduced_axes(a, x.rank());
  int64_t count = 1;
  for (int axis = 1; axis < x.rank(); ++axis) count *= reduced[static_cast<size_t>(axis)] ? x[axis] : 1;
  return count;
}

/// y = f(y, x) for every value of x and the result that it is one of, by rows(x, count, y) where results lie side by
/// side; images by threads. x and y start with the batch.
template <class X, class Y, class Rows, class F>
void reduce(const ReduceAttributes& a, const Shape& shape, const X* x, Y* y, const Rows& rows, const F& f) {
  const std::vector<bool> reduced = reduced_axes(a, shape.rank());
  std::vector<int64_t> sizes, steps;  // of x's axes behind the batch, and how far results are apart along them
  for (int axis = 1; axis < shape.rank(); ++axis) sizes.push_back(shape[axis]);
  steps.resize(sizes.size());
  int64_t results = 1, each = 1;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    each *= sizes[axis];
    if (reduced[axis + 1]) continue;
    steps[axis] = results;
    results *= sizes[axis];
  }
  if (sizes.empty()) return;
  const int64_t run = sizes.back(), step = steps.back();
  parallel_for(shape[0], 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      std::vector<int64_t> index(sizes.size() - 1, 0);
      int64_t to = n * results;
      for (int64_t at = n * each; at < (n + 1) * each; at += run) {
        Y* out = y + to;
        if (step == 1)
          rows(x + at, run, out);
        else
          for (int64_t i = 0; i < run; ++i) *out = f(*out, x[at + i]);
        for (size_t axis = index.size(); axis-- > 0;) {
          to += steps[axis];
          if (++index[axis] < sizes[axis]) break;
          to -= index[axis] * steps[axis];
          index[axis] = 0;
        }
      }
    }
  });
}

/// Reads activations, and leaves the batch.
inline Answer takes_reduction(const ReduceAttributes& a, const Graph& graph, const Node& node) {
  const int rank = graph.spec(node.inputs[0]).shape.rank();
  if (rank < 2 || reduced_axes(a, rank)[0])
    return refused("it is over the batch, which can have any size; do this outside of the network", false);
  return yes();
}

inline void expect_reduction(const ReduceAttributes& a, const Shape& x) {
  check(x.rank() >= 2 && !reduced_axes(a, x.rank())[0], "is over the axis of the batch");
}

}  // namespace sinter::quant
