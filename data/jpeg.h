#pragma once
// Private: JPEG, by libjpeg-turbo.

#include <cstddef>
#include <cstdint>
#include <span>

#include "../core/tensor.h"

namespace sinter::data {

bool is_jpeg(std::span<const std::byte> bytes);
/// uint8 [H,W,1] or [H,W,3].
Tensor decode_jpeg(std::span<const std::byte> bytes, int64_t max_pixels);

}  // namespace sinter::data
