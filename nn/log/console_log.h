#pragma once

#include <cstdio>
#include <memory>

#include "../progress.h"
#include "row_log.h"

namespace sinter::nn {

/// Numbers as a line on a terminal that is redrawn in place; elsewhere a plain line appears every half minute, and at
/// `flush`. For loops of one's own: `fit` has a line of its own.
class ConsoleLog final : public RowLog {
 public:
  explicit ConsoleLog(std::FILE* out = stderr) : line_(std::make_unique<ProgressLine>(true, out)) {}
  ConsoleLog(ConsoleLog&&) = default;
  void text(const std::string& name, int64_t step, const std::string& text) override;
  void flush() override;

 protected:
  void row(int64_t step, const Numbers& numbers) override;

 private:
  std::unique_ptr<ProgressLine> line_;
  ProgressLine::Fields last_;
};

}  // namespace sinter::nn
