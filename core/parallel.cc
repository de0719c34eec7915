#include "parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "error.h"
#include "thread_pool.h"

namespace sinter {

namespace {

int threads_at_start() {
  int count = 0;
  if (const char* wanted = std::getenv("OMP_NUM_THREADS")) std::from_chars(wanted, wanted + std::strlen(wanted), count);
  if (count >= 1) return count;
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{threads_at_start()};
  return count;
}

}  // namespace

int threads() { return thread_count(); }

void set_threads(int count) {
  check(count >= 1, "set_threads: ", count, " threads, expected at least 1");
  thread_count() = count;
}

namespace detail {

void parallel_for(int64_t count, int64_t grain, BlockFunction function, const void* closure) {
  if (count <= 0) return;
  const int64_t wanted = std::max<int64_t>(count / std::max<int64_t>(grain, 1), 1);
  const int64_t parts = std::min<int64_t>(threads(), wanted);
  if (parts == 1 || current_part() >= 0) return function(closure, 0, count);
  run_parts(static_cast<int>(parts),
            [&](int part) { function(closure, count * part / parts, count * (part + 1) / parts); });
}

}  // namespace detail
}  // namespace sinter
