#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sinter {

struct ProfilerOptions {
  int64_t traced_calls = 1 << 20;  ///< a trace holds the first ones; tables count all
};

/// While alive, records where the time of its thread goes: every operation, forward and backward, under the name of
/// its node where a graph or a prepared model runs (else of the call: `relu [8,4] -> [8,4]`), the instructions of a
/// simulator, the optimiser's steps, the wait for data, and what the program marks with a Scope.
///
///     Profiler profiler;
///     nn::fit(net, train, {.batches = 20});
///     std::puts(to_string(profiler).c_str());
///     profiler.write_trace("trace.json");
///
/// Without one, an operation costs one look at a pointer. Of several in a thread, the one made last records; they end
/// in the reverse order, in the thread that made them. A backward knows its node if the forward was recorded as well.
class Profiler {
  struct Recorder;
  struct Spent;

 public:
  enum class Kind : uint8_t { scope, forward, backward };

  /// What a scope is about to do.
  struct Work {
    std::string name;
    Kind kind = Kind::scope;
    std::string call{};  ///< what is called on which shapes, for the trace
    int64_t flops = 0;   ///< two a multiply-accumulate; nothing else counts
    int64_t bytes = 0;   ///< read and written: the operands and results, and what is kept for backward where it is read
    auto operator<=>(const Work&) const = default;
  };

  /// A local variable whose life is recorded, if a profiler lives when it is made.
  class Scope {
   public:
    explicit Scope(std::string_view name) {
      if (recording()) open({.name = std::string(name)});
    }
    /// `describe` returns a Work; it is not called when nothing records.
    template <class F>
    requires std::is_invocable_r_v<Work, const F&>
    explicit Scope(const F& describe) {
      if (recording()) open(describe());
    }
    ~Scope() {
      if (recorder_ != nullptr) close();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    friend class Profiler;
    static bool recording();
    void open(Work work);
    void close();

    Recorder* recorder_ = nullptr;
    Scope* outer_ = nullptr;
    Spent* spent_ = nullptr;
    double* duration_ = nullptr;
    double began_ = 0, inner_ = 0;
  };

  struct Pass {
    int64_t calls = 0;
    double seconds = 0;       ///< what ran inside included
    double self_seconds = 0;  ///< without that
    int64_t flops = 0, bytes = 0;
  };
  struct Entry {
    std::string name;
    Pass forward;  ///< or the scope
    Pass backward;
    double share = 0;  ///< of all self_seconds, percent
  };

  explicit Profiler(ProfilerOptions options = {});
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// From the profiler's begin to the end of the last scope.
  double seconds() const;
  /// What has ended by name, the longest self_seconds first; then `(outside)`, the rest of `seconds()`. Shares sum to
  /// 100, unless nothing was recorded.
  std::vector<Entry> entries() const;
  /// A file for chrome://tracing or Perfetto: a JSON array of complete events, times in microseconds from the
  /// profiler's begin. Throws Error naming the path and the fault when the file cannot be written.
  void write_trace(const std::string& path) const;

 private:
  static thread_local Recorder* current_;  // of the profiler that records
  std::unique_ptr<Recorder> recorder_;
};

/// A table: per name its calls, milliseconds, GFLOP/s, bytes, GB/s and share of the time.
std::string to_string(const Profiler& profiler);

}  // namespace sinter
