#pragma once
// Private: errors that say what was being done.

#include <new>
#include <string>

#include "error.h"

namespace sinter {

/// `f()`. The message of an Error in it starts with `what`, as `model.bin: ...`; memory that ends in it is an Error.
template <class F>
decltype(auto) within(const std::string& what, const F& f) {
  try {
    return f();
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(what)) throw;
    fail(what, ": ", error.what());
  } catch (const std::bad_alloc&) {
    fail(what, ": out of memory");
  }
}

}  // namespace sinter
