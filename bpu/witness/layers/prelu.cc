#include <cmath>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

// max(x, 0), and min(x, 0) times a slope.
class Prelu final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    size_t next = 0;
    return rescaled(site, shape, [&](const Index& at) {
      const int64_t x = value_at(*in[0], at);
      const size_t channel = next++ % site.step.rescale.size();
      return x < 0 ? Term{0, x, channel} : Term{x, 0, channel};
    });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    const Value& x = site.x();
    std::vector<quant::Rescaling> all;
    for (const float slope : site.step.constants[1].values<float>())
      all.push_back(Datapath(site.program.march)
                        .sum(exact(x.scale), exact(x.scale) * exact(std::fabs(slope)), slope < 0, x.bits, site.y()));
    return all;
  }
};

}  // namespace

const Twin& prelu_twin() {
  static const Prelu twin;
  return twin;
}

}  // namespace sinter::bpu::witness
