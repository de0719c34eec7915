#pragma once

#include "append_file.h"
#include "row_log.h"

namespace sinter::nn {

/// A JSON object a line: `{"step":50,"train/loss":0.25}` for the numbers of a step (null for those that are not
/// finite), `{"step":50,"text":{"run":"3 epochs"}}`, and `{"step":50,"table":{"confusion":[[9,1],[0,10]]}}`.
class JsonLines final : public RowLog {
 public:
  explicit JsonLines(std::string path) : file_(std::move(path)) {}
  JsonLines(JsonLines&&) = default;
  ~JsonLines() override;
  void text(const std::string& name, int64_t step, const std::string& text) override;
  void table(const std::string& name, int64_t step, const Tensor& table) override;
  void resume(int64_t step) override;
  void flush() override;

 protected:
  void row(int64_t step, const Numbers& numbers) override;

 private:
  AppendFile file_;
};

}  // namespace sinter::nn
