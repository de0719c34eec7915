#pragma once

#include <functional>
#include <string>

#include "error.h"

namespace sinter {

using WarningHandler = std::function<void(const std::string&)>;

/// Where this thread's warnings go: what is allowed, but probably not what was meant. Returns where they went before;
/// nullptr, as at first: to stderr, a line each.
WarningHandler set_warning_handler(WarningHandler handler);

namespace detail {
void show_warning(const std::string& message);
}

/// Gives this thread's handler the parts as a message.
template <class... Parts>
void warn(const Parts&... parts) {
  detail::show_warning(text(parts...));
}

}  // namespace sinter
