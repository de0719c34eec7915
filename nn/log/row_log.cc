#include "row_log.h"

#include "../../core/error.h"

namespace sinter::nn {

void RowLog::scalar(const std::string& name, int64_t step, double value) {
  check(name != "step", "log: 'step' is the name of a row's step, not of a number");
  if (step != step_) RowLog::flush();
  step_ = step;
  for (auto& number : numbers_)
    if (number.first == name) {
      number.second = value;
      return;
    }
  numbers_.emplace_back(name, value);
}

void RowLog::flush() {
  const Numbers numbers = std::exchange(numbers_, {});
  if (!numbers.empty()) row(step_, numbers);
}

}  // namespace sinter::nn
