#include "../../core/parallel.h"

#include <atomic>
#include <mutex>
#include <numeric>

#include "../support.h"

using namespace sinter;

namespace {

struct Threads {
  explicit Threads(int count) : before(threads()) { set_threads(count); }
  ~Threads() { set_threads(before); }
  int before;
};

}  // namespace

TEST_CASE("every index is visited once, whatever the threads and the grain") {
  for (const int count : {1, 2, 3, 7}) {
    const Threads guard(count);
    for (const int64_t size : {0, 1, 5, 64, 1000})
      for (const int64_t grain : {0, 1, 3, 64, 5000}) {
        CAPTURE(count);
        CAPTURE(size);
        CAPTURE(grain);
        std::vector<std::atomic<int>> visits(static_cast<size_t>(size));
        parallel_for(size, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        CHECK(std::accumulate(visits.begin(), visits.end(), 0) == size);
        bool once = true;
        for (const auto& n : visits) once = once && n == 1;
        CHECK(once);
      }
  }
}

TEST_CASE("no range is shorter than the grain") {
  const Threads guard(4);
  for (const int64_t size : {1, 9, 10, 11, 19, 20, 35, 100}) {
    CAPTURE(size);
    std::mutex mutex;
    std::vector<int64_t> lengths;
    parallel_for(size, 10, [&](int64_t begin, int64_t end) {
      const std::lock_guard lock(mutex);
      lengths.push_back(end - begin);
    });
    for (const int64_t length : lengths) CHECK(length >= std::min<int64_t>(size, 10));
  }
}

TEST_CASE("nothing is called for nothing") {
  bool called = false;
  for (const int64_t size : {0, -3}) parallel_for(size, 1, [&](int64_t, int64_t) { called = true; });
  CHECK(!called);
}

TEST_CASE("an exception reaches the caller, and the threads work on") {
  const Threads guard(3);
  for (const int64_t failing : {0, 50, 99}) {
    CAPTURE(failing);
    CHECK_ERROR(parallel_for(100, 1,
                             [&](int64_t begin, int64_t end) {
                               if (begin <= failing && failing < end) fail("index ", failing);
                             }),
                text("index ", failing));
  }
  CHECK_THROWS_AS(parallel_for(100, 1, [](int64_t, int64_t) { throw 1; }), int);
  std::atomic<int64_t> sum = 0;
  parallel_for(100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  CHECK(sum == 100);
}

TEST_CASE("a nested call runs on the thread that makes it") {
  const Threads guard(2);
  std::atomic<int64_t> sum = 0, inner_calls = 0;
  parallel_for(2, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      parallel_for(1000, 1, [&](int64_t from, int64_t to) {
        ++inner_calls;
        sum += to - from;
      });
  });
  CHECK(sum == 2000);
  CHECK(inner_calls == 2);
  CHECK_ERROR(parallel_for(2, 1, [](int64_t, int64_t) { parallel_for(2, 1, [](int64_t, int64_t) { fail("inner"); }); }),
              "inner");
}

TEST_CASE("the number of threads is set, and is at least one") {
  const Threads guard(2);
  CHECK(threads() == 2);
  CHECK_ERROR(set_threads(0), "set_threads: 0 threads, expected at least 1");
  CHECK(threads() == 2);
}
