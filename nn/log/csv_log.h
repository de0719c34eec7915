#pragma once

#include "append_file.h"
#include "row_log.h"

namespace sinter::nn {

/// Numbers as a table: a row for each step at which some were logged, a column for each name, "step" first; empty where
/// a step has none. A new name adds a column to the whole file.
class CsvLog final : public RowLog {
 public:
  explicit CsvLog(std::string path) : file_(std::move(path)) {}
  CsvLog(CsvLog&&) = default;
  ~CsvLog() override;
  void resume(int64_t step) override;
  void flush() override;

 protected:
  void row(int64_t step, const Numbers& given) override;

 private:
  std::string header() const;

  AppendFile file_;
  std::vector<std::string> columns_;  // without the step
};

}  // namespace sinter::nn
