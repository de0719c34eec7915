#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "logger.h"

namespace sinter::nn {

/// A logger that takes all numbers of a step together: when the next step begins, and at `flush`. To write one: derive
/// and override `row`, and call `flush` in the destructor.
class RowLog : public Logger {
 public:
  using Numbers = std::vector<std::pair<std::string, double>>;

  void scalar(const std::string& name, int64_t step, double value) override;
  void flush() override;

 protected:
  virtual void row(int64_t step, const Numbers& numbers) = 0;

 private:
  int64_t step_ = 0;
  Numbers numbers_;
};

}  // namespace sinter::nn
