#pragma once
// Private: the threads of parallel loops.

#include <type_traits>

namespace sinter::detail {

using PartFunction = void (*)(const void* closure, int part);
void run_parts(int parts, PartFunction function, const void* closure);

/// f(0), f(1), ... f(parts - 1), by the calling thread and as many of the pool's `parts - 1` as come in time: a thread
/// takes the next part that nobody has begun, so that the caller waits for no thread that has no core. Parts compute
/// with the caller's rounding and flush modes. Several callers may share the pool. Where parts throw, the first one's
/// exception is passed on when all have ended.
template <class F>
void run_parts(int parts, const F& f) {
  run_parts(
      parts, [](const void* closure, int part) { (*static_cast<const F*>(closure))(part); }, &f);
}

/// The part that the calling thread runs, -1 outside.
int current_part();

}  // namespace sinter::detail
