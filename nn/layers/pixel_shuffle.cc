#include "pixel_shuffle.h"

namespace sinter::nn {

PixelShuffle::PixelShuffle(const PixelShuffleAttributes& options) : attributes(ops::PixelShuffle(options).attributes) {}

Tensor PixelShuffle::forward(const Tensor& x) const { return pixel_shuffle(x, attributes); }

std::string PixelShuffle::title() const { return text("PixelShuffle(upscale=", attributes.upscale, ')'); }

}  // namespace sinter::nn
