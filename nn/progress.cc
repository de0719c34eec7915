#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "../core/error.h"

namespace sinter::nn {

namespace {

constexpr double kTerminalInterval = 0.1, kPlainInterval = 30;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

size_t columns(std::FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string two_digits(int64_t value) { return text(value < 10 ? "0" : "", value); }

}  // namespace

std::string to_time(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours == 0) return text(minutes, ":", two_digits(whole % 60));
  return text(hours, ":", two_digits(minutes), ":", two_digits(whole % 60));
}

ProgressLine::ProgressLine(bool shown, std::FILE* out)
    : shown_(shown), terminal_(shown && isatty(fileno(out)) == 1), out_(out), shown_at_(now()) {}

ProgressLine::~ProgressLine() {
  if (open_) std::fputc('\n', out_);
}

bool ProgressLine::due() const {
  return shown_ && now() - shown_at_ >= (terminal_ ? kTerminalInterval : kPlainInterval);
}

void ProgressLine::show(const Fields& fields, bool last) {
  // The last column stays free: some terminals wrap as soon as it is written.
  const size_t width = terminal_ ? columns(out_) - 1 : std::string::npos;
  std::string line;
  for (const std::string& field : fields) {
    const size_t gap = line.empty() ? 0 : 2;
    if (line.size() + gap + field.size() > width) break;
    line += std::string(gap, ' ') + field;
  }
  // "\x1b[K" clears what a longer line has left.
  if (terminal_)
    std::fprintf(out_, "\r%s\x1b[K%s", line.c_str(), last ? "\n" : "");
  else
    std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
  open_ = terminal_ && !last;
  shown_at_ = now();
}

}  // namespace sinter::nn
