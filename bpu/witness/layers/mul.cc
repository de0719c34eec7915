#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Mul final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Plain a = broadcast(*in[0], shape), b = broadcast(*in[1], shape);
    return rescaled(site, shape, [&](const Index& at) { return Term{value_at(a, at) * value_at(b, at)}; });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    return {Datapath(site.program.march).accumulator(exact(site.x(0).scale) * exact(site.x(1).scale), site.y())};
  }
};

}  // namespace

const Twin& mul_twin() {
  static const Mul twin;
  return twin;
}

}  // namespace sinter::bpu::witness
