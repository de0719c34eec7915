#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "../core/tensor.h"

namespace sinter::data {

struct PictureOptions {
  /// 1: grey (0.299 R + 0.587 G + 0.114 B), 3: RGB, 4: RGBA; 0: as in the file, where 2 is grey with alpha. Alpha that
  /// is not asked for is dropped, alpha that is not there is 255.
  int64_t channels = 3;
  /// A picture that says it has more is refused before memory is asked for.
  int64_t max_pixels = int64_t{1} << 26;
};

/// A PNG or JPEG file as uint8 [H,W,C]; 16 bits become 8, a palette its colours, CMYK RGB. Neither gamma, colour
/// profiles nor EXIF's orientation change anything. Throws Error, naming the file and the fault, for one that is
/// missing, of another format, cut, damaged or too large.
Tensor read_image(const std::string& path, const PictureOptions& options = {});
/// Likewise the bytes of such a file.
Tensor decode_image(std::span<const std::byte> bytes, const PictureOptions& options = {});

/// The numbers in a PNG file of one channel as they are, int64 [H,W]: the indices of a palette, or grey of 1 to 16
/// bits. Throws Error for a file in colours, and as `read_image`.
Tensor read_mask(const std::string& path, int64_t max_pixels = PictureOptions{}.max_pixels);

/// Writes uint8 [H,W], or [H,W,C] with 1 to 4 channels (grey, grey with alpha, RGB, RGBA), as PNG; int32 or int64 of
/// 0 to 65535 with 16 bits. Throws Error for anything else, and where the file cannot be written.
void write_png(const std::string& path, const Tensor& image);

}  // namespace sinter::data
