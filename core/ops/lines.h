#pragma once
// Private: the lines of a tensor along one axis, for operations that treat each on its own.

#include <algorithm>
#include <limits>

#include "../kernel/elementwise.h"
#include "../kernel/functions.h"
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

  /// The largest value of a line, NaN left out.
  float largest(const float* line) const {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    constexpr int64_t kShort = 32;  // the kernel, which keeps many at once, is for more
    if (length < kShort) {
      for (int64_t i = 0; i < length; ++i) high = line[i * stride] > high ? line[i * stride] : high;
      return high;
    }
    each_run([&](int64_t i, int64_t count) { kernel::elementwise_kernels().range(line + i, count, &low, &high); });
    return high;
  }
  /// y = e^(x - shift) for a line, and returns their sum; y may be x.
  double exponentials(const float* x, float shift, float* y) const {
    double sum = 0;
    each_run([&](int64_t i, int64_t count) { sum += kernel::functions().exponentials(x + i, count, shift, y + i); });
    return sum;
  }
  double sum(const float* x) const {
    double total = 0;
    each_run([&](int64_t i, int64_t count) { total += kernel::functions().sum(x + i, count); });
    return total;
  }
  /// The sum of the products of two lines.
  double dot(const float* x, const float* w) const {
    double total = 0;
    each_run([&](int64_t i, int64_t count) { total += kernel::functions().dot(x + i, w + i, count); });
    return total;
  }

 private:
  // f(offset from a line's first element, count) for what lies together of a line.
  template <class F>
  void each_run(const F& f) const {
    if (stride == 1) return f(0, length);
    for (int64_t i = 0; i < length; ++i) f(i * stride, 1);
  }
};

}  // namespace sinter::ops
