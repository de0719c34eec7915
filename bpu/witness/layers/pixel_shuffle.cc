#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class PixelShuffle final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const auto u = Attributes(site.step).get<int64_t>("upscale", 1);
    return made(shape, [&](const Index& at) {
      return value_at(*in[0], {at[0], at[1] / u, at[2] / u, (at[3] * u + at[1] % u) * u + at[2] % u});
    });
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& pixel_shuffle_twin() {
  static const PixelShuffle twin;
  return twin;
}

}  // namespace sinter::bpu::witness
