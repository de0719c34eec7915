#pragma once

#include <cstdint>
#include <string>

#include "../core/tensor.h"

namespace sinter::data {

struct ResizeImageOptions {
  int64_t height = 0, width = 0;
  /// "bilinear": between the four nearest pixels, whose centres are at .5, as OpenCV, PyTorch and the layers of
  /// networks do; "smooth": likewise where it grows, and with weights that reach as far as a pixel of the result where
  /// it shrinks, as Pillow's bilinear; "area": the mean of what a pixel of the result covers, bilinear where it grows;
  /// "nearest".
  std::string mode = "bilinear";
};

/// float32 [1,H,W,C] in another size, each axis for itself. Throws Error for another shape or type, a size below 1 and
/// an unknown mode.
Tensor resize_image(const Tensor& image, const ResizeImageOptions& options);

}  // namespace sinter::data
