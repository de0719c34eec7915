#pragma once

#include "../op.h"

namespace sinter {

struct PixelShuffleAttributes {
  int64_t upscale = 2;
};
SINTER_FIELDS(PixelShuffleAttributes, upscale)

namespace ops {

/// Channels become pixels (Shi et al., 1609.05158): x [N,H,W,C u u] to y [N,H u,W u,C] with u = upscale, float32;
/// y[n, h u + i, w u + j, c] = x[n, h, w, (c u + i) u + j], the order of PyTorch's pixel_shuffle.
struct PixelShuffle final : OpWith<PixelShuffleAttributes> {
  /// Throws Error for an upscale outside of 1 to 32768.
  PixelShuffle(const PixelShuffleAttributes& attributes);
  std::string_view name() const override { return "pixel_shuffle"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::PixelShuffle.
Tensor pixel_shuffle(const Tensor& x, const PixelShuffleAttributes& attributes = {});

}  // namespace sinter
