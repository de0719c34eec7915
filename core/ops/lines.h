#pragma once
// Private: the lines of a tensor along one axis, for operations that treat each on its own.

#include <algorithm>

#include "../parallel.h"
#include "../shape.h"

namespace sinter::ops {

/// `count` lines of `length` elements that are `stride` apart.
struct Lines {
  int64_t count = 1, length = 1, stride = 1;

  Lines(const Shape& shape, int axis) : length(shape[axis]) {
    for (int i = 0; i < axis; ++i) count *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) stride *= shape[i];
    count *= stride;
  }
  /// Of a line's first element.
  int64_t offset(int64_t line) const { return line / stride * length * stride + line % stride; }

  /// Calls f(line) for all of them, on all threads.
  template <class F>
  void each(const F& f) const {
    constexpr int64_t kGrain = 1 << 12;  // elements a thread takes at least
    parallel_for(count, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, length)), [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) f(line);
    });
  }
};

}  // namespace sinter::ops
