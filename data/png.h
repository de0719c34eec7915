#pragma once
// Private: PNG, by libpng.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/tensor.h"

namespace sinter::data {

bool is_png(std::span<const std::byte> bytes);
/// uint8 [H,W,C] in the file's own channels: a palette as RGB or RGBA, 16 bits as 8.
Tensor decode_png(std::span<const std::byte> bytes, int64_t max_pixels);
/// int64 [H,W]: the numbers themselves.
Tensor decode_png_numbers(std::span<const std::byte> bytes, int64_t max_pixels);
/// `samples` are big-endian, of 8 or 16 bits.
std::vector<std::byte> encode_png(const uint8_t* samples, int64_t height, int64_t width, int64_t channels, int depth);

}  // namespace sinter::data
