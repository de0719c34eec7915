#include "console_log.h"

#include "../../core/error.h"
#include "../../core/format.h"

namespace sinter::nn {

void ConsoleLog::row(int64_t step, const Numbers& numbers) {
  last_ = {sinter::text("step ", step)};
  for (const auto& [name, value] : numbers) last_.push_back(name + " " + with_digits(value, 4));
  line_->update([this] { return last_; });
}

void ConsoleLog::text(const std::string& name, int64_t, const std::string& text) {
  flush();
  line_->finish({name + ": " + text});
}

void ConsoleLog::flush() {
  RowLog::flush();
  if (!last_.empty()) line_->finish(std::exchange(last_, {}));
}

}  // namespace sinter::nn
