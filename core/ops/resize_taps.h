#pragma once
// Private: which input values an output of ops::Resize is made of.

#include <vector>

#include "resize.h"

namespace sinter::ops {

/// Along one axis, an output is (1 - fraction) * value[low] + fraction * value[high]; nearest: value[low].
struct ResizeTap {
  int64_t low, high;
  double fraction;
};

/// Those of every output row and of every output column.
struct ResizePlan {
  ResizePlan(const ResizeAttributes& a, const Shape& x, const Shape& y);
  std::vector<ResizeTap> rows, columns;
};

}  // namespace sinter::ops
