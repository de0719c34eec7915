#pragma once
// Private: masks of one bit a value, the lowest bit of a byte first.

#include <cstdint>

namespace sinter::kernel {

/// Bytes of a row of `values` bits.
constexpr int64_t bit_bytes(int64_t values) { return (values + 7) / 8; }

namespace {

/// bits = the lowest bits of `count` bytes that are 0 or 1; there is memory for whole groups of eight of them.
inline void pack_bits(uint8_t* flags, int64_t count, uint8_t* bits) {
  for (int64_t i = count; i % 8 != 0; ++i) flags[i] = 0;
  for (int64_t i = 0; i < count; i += 8) {
    uint64_t eight = 0;
    for (int64_t j = 0; j < 8; ++j) eight |= static_cast<uint64_t>(flags[i + j]) << (8 * j);
    // Byte j times 2^(56 - 7 j) is bit 56 + j; what else there is stays below bit 56 or leaves at the top.
    bits[i / 8] = static_cast<uint8_t>((eight * 0x0102040810204080u) >> 56);
  }
}

}  // namespace

}  // namespace sinter::kernel
