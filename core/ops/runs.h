#pragma once
// Private: what lies together in memory along an axis; shared by concat and slice.

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "../op.h"
#include "../parallel.h"

namespace sinter::ops {

/// Copies `count` runs of `bytes`, which are `from_step` and `to_step` apart, by the calling thread.
inline void copy_runs_here(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t bytes,
                           int64_t count) {
  // A call of memcpy takes longer than to copy one element; of a known size it is no call.
  const auto copy = [&](auto size) {
    for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * to_step, from + i * from_step, static_cast<size_t>(size));
  };
  switch (bytes) {
    case 1:
      return copy(std::integral_constant<int, 1>());
    case 2:
      return copy(std::integral_constant<int, 2>());
    case 4:
      return copy(std::integral_constant<int, 4>());
    case 8:
      return copy(std::integral_constant<int, 8>());
    case 16:
      return copy(std::integral_constant<int, 16>());
    case 32:
      return copy(std::integral_constant<int, 32>());
    default:
      copy(bytes);
  }
}

/// The same on all threads.
inline void copy_runs(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step, int64_t bytes,
                      int64_t count) {
  constexpr int64_t kGrain = 1 << 16;  // bytes a thread copies at least
  if (bytes == 0) return;
  parallel_for(count, std::max<int64_t>(1, kGrain / bytes), [&](int64_t begin, int64_t end) {
    copy_runs_here(from + begin * from_step, from_step, to + begin * to_step, to_step, bytes, end - begin);
  });
}

/// Of the elements from an axis on, of one index of the axes before.
inline int64_t run_bytes(const Spec& x, int axis) {
  int64_t bytes = size_of(x.dtype);
  for (int i = axis; i < x.shape.rank(); ++i) bytes *= x.shape[i];
  return bytes;
}

/// Indices of the axes before an axis.
inline int64_t runs(const Shape& shape, int axis) {
  int64_t count = 1;
  for (int i = 0; i < axis; ++i) count *= shape[i];
  return count;
}

}  // namespace sinter::ops
