#include "thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace sinter::detail {

namespace {

thread_local int running_part = -1;

// A loop, on its caller's stack.
struct Job {
  PartFunction function;
  const void* closure;
  int parts;
  std::fenv_t arithmetic{};  // the caller's
  std::atomic<int> next{0};  // part that nobody has begun

  // The pool's mutex guards these.
  int helpers = 0;  // threads of the pool at it
  bool awaited = false;
  int failed = parts;  // first part that threw
  std::exception_ptr error{};
};

// Reading and, now and then, offering the core to whoever has none; false where `done` stays false for so long. Longer
// than what usually lies between two loops: to be woken takes a thread tens of microseconds.
template <class F>
bool spin(const F& done) {
  using Clock = std::chrono::steady_clock;
  constexpr int kReads = 32;
  const auto end = Clock::now() + std::chrono::microseconds(200);
  do {
    for (int i = 0; i < kReads; ++i) {
      if (done()) return true;
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#endif
    }
    std::this_thread::yield();
  } while (Clock::now() < end);
  return false;
}

class Pool {
 public:
  void run(Job& job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(&job);
      grow(job.parts - 1);
      ++posted_;
      for (int i = std::min(asleep_, job.parts - 1 - looking_); i > 0; --i) wake_.notify_one();
    }
    work(job);
    std::unique_lock lock(mutex_);
    std::erase(jobs_, &job);
    if (job.helpers == 0) return;
    job.awaited = true;
    // `finished_` is told of all jobs that are awaited.
    for (uint32_t seen = finished_; job.helpers > 0; seen = finished_) {
      lock.unlock();
      const bool changed = spin([&] { return finished_ != seen; });
      lock.lock();
      if (!changed) done_.wait(lock, [&] { return job.helpers == 0; });
    }
  }

 private:
  // Fewer where the system has no more: the caller does what nobody takes.
  void grow(int wanted) {
    try {
      for (; size_ < wanted; ++size_, ++looking_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  // One of the pool's threads, which ends with the process.
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (Job* job = find()) {
        --looking_;
        ++job->helpers;
        lock.unlock();
        std::fesetenv(&job->arithmetic);
        work(*job);
        lock.lock();
        ++looking_;
        if (--job->helpers == 0 && job->awaited) {
          ++finished_;
          done_.notify_all();
        }
        continue;
      }
      const uint32_t seen = posted_;
      lock.unlock();
      const bool changed = spin([&] { return posted_ != seen; });
      lock.lock();
      if (changed || posted_ != seen) continue;
      --looking_;
      ++asleep_;
      wake_.wait(lock);
      --asleep_;
      ++looking_;
    }
  }

  Job* find() {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [](const Job* job) { return job->next < job->parts; });
    return found == jobs_.end() ? nullptr : *found;
  }

  void work(Job& job) {
    for (int part; (part = job.next++) < job.parts;) {
      running_part = part;
      try {
        job.function(job.closure, part);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (part < job.failed) {
          job.failed = part;
          job.error = std::current_exception();
        }
      }
    }
    running_part = -1;
  }

  std::mutex mutex_;
  std::vector<Job*> jobs_;  // that may have parts to begin
  int size_ = 0, looking_ = 0, asleep_ = 0;
  std::condition_variable wake_, done_;
  alignas(64) std::atomic<uint32_t> posted_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
};

std::atomic<Pool*> instance;

// Leaked on purpose: see the allocator. A forked child has none of its parent's threads and begins anew.
Pool& pool() {
  static const bool made = [] {
    const auto anew = [] { instance = new Pool; };
    anew();
    pthread_atfork(nullptr, nullptr, anew);
    return true;
  }();
  static_cast<void>(made);
  return *instance;
}

}  // namespace

void run_parts(int parts, PartFunction function, const void* closure) {
  Job job{function, closure, parts};
  std::fegetenv(&job.arithmetic);
  pool().run(job);
  if (job.error != nullptr) std::rethrow_exception(job.error);
}

int current_part() { return running_part; }

}  // namespace sinter::detail
