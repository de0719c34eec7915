#pragma once
// Private: where the windows of a pooling lie; shared by max_pool2d and avg_pool2d.

#include <algorithm>
#include <vector>

#include "window.h"

namespace sinter::ops {

struct PoolWindow {
  Pair kernel, stride, padding, dilation{1};
  bool ceil_mode = false;
};

/// Throws Error, starting with `op`, for sizes that no input could fit.
void check_window(std::string_view op, const PoolWindow& window);

/// The output's shape for x [N,H,W,C]. Throws Error, starting with `op`, when there is no window, or one that sees
/// nothing but padding.
Shape pool_shape(std::string_view op, const PoolWindow& window, const Shape& x);

/// Along one axis, a window's positions `begin`..`end - 1` are inside the input; position i is at
/// `start + i * dilation`.
struct Taps {
  int64_t start, begin, end;
};

/// How many values of a window a mean divides by, along one axis: those inside, and the padding where it counts.
inline int64_t counted(const Taps& taps, int64_t size, int64_t kernel, int64_t padding, bool include_pad) {
  return include_pad ? std::min(kernel, size + padding - taps.start) : taps.end - taps.begin;
}

/// Those of every output row and of every output column.
struct PoolPlan {
  PoolPlan(const PoolWindow& window, const Shape& x, const Shape& y);
  std::vector<Taps> rows, columns;
};

}  // namespace sinter::ops
