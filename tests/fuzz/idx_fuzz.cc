// libFuzzer target: any bytes are read, or are an Error.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "../../core/error.h"
#include "../../data/idx.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const int file = memfd_create("idx", 0);
  if (file < 0 || write(file, bytes, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    sinter::data::read_idx("/proc/self/fd/" + std::to_string(file));
  } catch (const sinter::Error&) {
  }
  close(file);
  return 0;
}
