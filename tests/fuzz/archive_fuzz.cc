// libFuzzer target: any bytes are an archive, or an Error.

#include <cstddef>
#include <cstdint>

#include "../../core/error.h"
#include "../../core/serialize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::span<const std::byte> content(reinterpret_cast<const std::byte*>(bytes), size);
  try {
    const auto archive = sinter::Archive::decode(content, "program");
    if (archive.encode() != sinter::Archive::Bytes(content.begin(), content.end())) __builtin_trap();
  } catch (const sinter::Error&) {
  }
  return 0;
}
