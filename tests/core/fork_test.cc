// Not among the tests of threads: ThreadSanitizer knows no threads that are made after a fork.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "../../core/ops/linear.h"
#include "../../core/parallel.h"
#include "../support.h"

using namespace sinter;

TEST_CASE("a forked child has a pool of its own") {
  const auto work = [] {
    linear(Tensor::ones({300, 200}), Tensor::ones({200, 200}));
    std::atomic<int64_t> sum = 0;
    parallel_for(1000, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    return sum == 1000;
  };
  const int before = threads();
  set_threads(2);
  CHECK(work());
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(work() && work() ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(work());
  set_threads(before);
}
