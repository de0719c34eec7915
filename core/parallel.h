#pragma once

#include <cstdint>
#include <type_traits>

namespace sinter {

/// Threads that operations use, the process's: the calling one and those of a pool that all callers share. Starts at
/// OMP_NUM_THREADS or the number of cores.
int threads();
/// Throws Error unless count >= 1.
void set_threads(int count);

namespace detail {
using BlockFunction = void (*)(const void* closure, int64_t begin, int64_t end);
void parallel_for(int64_t count, int64_t grain, BlockFunction function, const void* closure);
}  // namespace detail

/// Calls `f(begin, end)` for ranges that cover 0..count-1, at least `grain` long unless there is but one, on all
/// threads; on the calling one within another `f`. Which ranges depends on the number of threads: results must not.
/// Exceptions in `f` are passed on to the caller.
template <class F>
void parallel_for(int64_t count, int64_t grain, const F& f) {
  detail::parallel_for(
      count, grain,
      [](const void* closure, int64_t begin, int64_t end) { (*static_cast<const F*>(closure))(begin, end); }, &f);
}

}  // namespace sinter
