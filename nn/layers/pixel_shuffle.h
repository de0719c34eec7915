#pragma once

#include "../../core/ops/pixel_shuffle.h"
#include "../module.h"

namespace sinter::nn {

/// Channels become pixels: [N,H,W,C u u] to [N,H u,W u,C]; see ops::PixelShuffle. `nn::PixelShuffle shuffle{{.upscale =
/// 2}}`
struct PixelShuffle : Module {
  /// Throws Error for options that make no sense.
  PixelShuffle(const PixelShuffleAttributes& options = {});

  Tensor forward(const Tensor& x) const override;
  std::string title() const override;
  SINTER_CHILDREN()

  PixelShuffleAttributes attributes;
};

}  // namespace sinter::nn
