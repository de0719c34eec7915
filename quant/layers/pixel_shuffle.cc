#include "../../core/ops/pixel_shuffle.h"
#include "../integer/strided.h"
#include "checks.h"

namespace sinter::quant {

namespace {

/// Channels as pixels: see ops::PixelShuffle.
class PixelShuffle final : public Layer {
 public:
  std::string_view name() const override { return "pixel_shuffle"; }

  Answer takes(const Graph&, const Node& node) const override {
    return node.op->name() == "pixel_shuffle" ? yes() : not_mine();
  }

  bool passes() const override { return true; }

  // Both tensors as [N,H,u,W,u,C].
  void run(const Running& r, Tensor& y) const override {
    const int64_t u = attributes_of<ops::PixelShuffle>(r.step).upscale;
    const Tensor& x = r.x[0];
    const int64_t height = x.size(1), width = x.size(2), channels = y.size(3);
    const int64_t pixel = x.size(3), row = width * u * channels;
    copy_strided({{x.size(0), height, u, width, u, channels},
                  {height * width * pixel, width * pixel, u, pixel, 1, u * u},
                  {height * u * row, u * row, row, u * channels, channels, 1}},
                 x, y);
  }

  void check(const IntegerProgram&, const Instruction& step) const override {
    expect_operation(step, 1, {"pixel_shuffle"});
  }
};

}  // namespace

const Layer& pixel_shuffle_layer() {
  static const PixelShuffle layer;
  return layer;
}

}  // namespace sinter::quant
