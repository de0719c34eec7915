#include "parallel.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <mutex>

#include "error.h"

namespace sinter {

int threads() { return omp_get_max_threads(); }

void set_threads(int count) {
  check(count >= 1, "set_threads: ", count, " threads, expected at least 1");
  omp_set_num_threads(count);
}

namespace detail {

void parallel_for(int64_t count, int64_t grain, BlockFunction function, const void* closure) {
  if (count <= 0) return;
  const int64_t wanted = std::max<int64_t>(count / std::max<int64_t>(grain, 1), 1);
  const auto team = static_cast<int>(std::min<int64_t>(threads(), wanted));
  if (team <= 1 || omp_in_parallel() != 0) {
    function(closure, 0, count);
    return;
  }
  std::exception_ptr error;
  std::mutex mutex;
#pragma omp parallel num_threads(team)
  {
    // OpenMP may give fewer threads than were asked for.
    const int64_t parts = omp_get_num_threads(), part = omp_get_thread_num();
    const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    try {
      if (begin < end) function(closure, begin, end);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (error == nullptr) error = std::current_exception();
    }
  }
  if (error != nullptr) std::rethrow_exception(error);
}

}  // namespace detail
}  // namespace sinter
