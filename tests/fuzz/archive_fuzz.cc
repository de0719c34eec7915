// libFuzzer target: any bytes are an archive that encodes to the same bytes, or are an Error.

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "../../core/error.h"
#include "../../core/serialize.h"

using sinter::Archive;

namespace {

void decode(const Archive::Bytes& bytes) {
  try {
    if (Archive::decode(bytes, "k", 3).encode() != bytes) std::abort();
  } catch (const sinter::Error&) {
  }
}

// Puts the right checksums where the lengths in the bytes say that they are: nobody guesses 32 bits, and the faults
// behind them are to be found, too.
void seal(Archive::Bytes& bytes) {
  size_t at = 0, sealed = 0;
  const auto number = [&]<class T>(T value, size_t offset) {
    if (bytes.size() - at >= offset + sizeof value) std::memcpy(&value, bytes.data() + at + offset, sizeof value);
    return static_cast<uint64_t>(value);
  };
  // Moves over a part and its checksum; false at the end.
  const auto part = [&](uint64_t size) {
    const uint64_t left = bytes.size() - at;
    if (left < sizeof(uint32_t) || size > left - sizeof(uint32_t)) return false;
    at += size;
    const auto* begin = reinterpret_cast<const Bytef*>(bytes.data()) + sealed;
    const auto checksum = static_cast<uint32_t>(crc32_z(0, begin, at - sealed));
    std::memcpy(bytes.data() + at, &checksum, sizeof checksum);
    sealed = at += sizeof checksum;
    return true;
  };
  if (!part(32 + number(uint32_t{}, 12))) return;
  for (;;) {
    const uint64_t axes = number(uint16_t{}, 2), name = number(uint32_t{}, 4), payload = number(uint64_t{}, 8);
    if (!part(16 + 8 * axes + name) || !part(payload)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Archive::Bytes bytes(size);
  std::transform(data, data + size, bytes.begin(), [](uint8_t byte) { return std::byte{byte}; });
  decode(bytes);
  seal(bytes);
  decode(bytes);
  return 0;
}
