#include "warning.h"

#include <cstdio>
#include <utility>

namespace sinter {

namespace {
WarningHandler& handler_of_thread() {
  thread_local WarningHandler handler;
  return handler;
}
}  // namespace

WarningHandler set_warning_handler(WarningHandler handler) {
  return std::exchange(handler_of_thread(), std::move(handler));
}

void detail::show_warning(const std::string& message) {
  if (const WarningHandler& handler = handler_of_thread())
    handler(message);
  else
    std::fprintf(stderr, "warning: %s\n", message.c_str());
}

}  // namespace sinter
