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

  // x [N,H,W,C,u,u] as [N,H,u,u,W,C], for which rows are read in one go, and that as y [N,H,u,W,u,C].
  void run(const Running& r, Tensor& y) const override {
    const int64_t u = attributes_of<ops::PixelShuffle>(r.step).upscale;
    const Tensor& x = r.x[0];
    const int64_t rows = x.size(0) * x.size(1), width = x.size(2), channels = y.size(3), row = width * x.size(3);
    Tensor taken = Tensor::empty(x.shape(), x.dtype());
    copy_strided({{rows, u * u, width * channels}, {row, 1, u * u}, {row, width * channels, 1}}, x, taken);
    copy_strided({{rows * u, u, width, channels},
                  {row / u, width * channels, channels, 1},
                  {row / u, channels, u * channels, 1}},
                 taken, y);
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
