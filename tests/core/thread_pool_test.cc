#include "../../core/thread_pool.h"

#include <atomic>
#include <cfenv>
#include <numeric>
#include <set>
#include <thread>

#include "../../core/error.h"
#include "../support.h"

using namespace sinter;
using sinter::detail::current_part;
using sinter::detail::run_parts;

TEST_CASE("every part runs once, knowing which it is") {
  CHECK(current_part() == -1);
  for (int round = 0; round < 200; ++round)
    for (const int parts : {1, 2, 5}) {
      std::vector<std::atomic<int>> ran(parts);
      run_parts(parts, [&](int part) { ran[part] += current_part() == part ? 1 : 100; });
      for (const auto& count : ran) CHECK(count == 1);
    }
  CHECK(current_part() == -1);
}

TEST_CASE("a caller waits for no thread that has not begun") {
  // The pool's only other thread, if the system gives one, is kept busy by another caller's part.
  std::atomic<bool> release = false;
  std::thread other([&] {
    run_parts(2, [&](int) {
      while (!release) std::this_thread::yield();
    });
  });
  int sum = 0;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 100; ++i) {
    std::atomic<int> ran = 0;
    run_parts(2, [&](int) { ++ran; });
    sum += ran;
  }
  CHECK(sum == 200);
  release = true;
  other.join();
}

TEST_CASE("four callers share the pool") {
  test::at_once(4, [](int t) {
    for (int64_t i = 0; i < 300; ++i) {
      std::vector<int64_t> values(1000 + t + i);
      std::iota(values.begin(), values.end(), 0);
      std::vector<int64_t> sums(5);
      run_parts(5, [&](int part) {
        const auto n = static_cast<int64_t>(values.size());
        sums[part] = std::accumulate(values.begin() + n * part / 5, values.begin() + n * (part + 1) / 5, int64_t{0});
      });
      const auto n = static_cast<int64_t>(values.size());
      if (std::accumulate(sums.begin(), sums.end(), int64_t{0}) != n * (n - 1) / 2) fail("wrong sum");
    }
  });
}

TEST_CASE("of the exceptions of several parts the first part's is passed on, when all have ended") {
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> ran = 0;
    CHECK_ERROR(run_parts(4,
                          [&](int part) {
                            ++ran;
                            if (part > 0) fail("part ", part);
                          }),
                "part 1");
    CHECK(ran == 4);
  }
}

TEST_CASE("all parts round as the caller does") {
  std::atomic<int> upward = 0;
  std::fesetround(FE_UPWARD);
  for (int i = 0; i < 50; ++i)
    run_parts(3, [&](int) {
      upward += std::fegetround() == FE_UPWARD;
      std::this_thread::yield();
    });
  std::fesetround(FE_TONEAREST);
  CHECK(upward == 150);
}
