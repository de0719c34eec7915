#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace sinter::nn {

/// `0:42`, `1:02:03`
std::string to_time(double seconds);

/// One line about a running job. On a terminal it is redrawn in place, without the fields that do not fit its width;
/// elsewhere a plain line appears every half minute.
class ProgressLine {
 public:
  using Fields = std::vector<std::string>;

  explicit ProgressLine(bool shown = true, std::FILE* out = stderr);
  /// Ends a line that is still open.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows what `fields()` returns, when it is time to.
  template <class F>
  void update(const F& fields) {
    if (due()) show(fields(), false);
  }
  /// Shows a line for good.
  void finish(const Fields& fields) {
    if (shown_) show(fields, true);
  }

 private:
  bool due() const;
  void show(const Fields& fields, bool last);

  bool shown_, terminal_;
  std::FILE* out_;
  bool open_ = false;
  double shown_at_;
};

}  // namespace sinter::nn
