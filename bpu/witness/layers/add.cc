#include <algorithm>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Add final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Plain a = broadcast(*in[0], shape), b = broadcast(*in[1], shape);
    return rescaled(site, shape, [&](const Index& at) { return Term{value_at(a, at), value_at(b, at)}; });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    const Value &a = site.x(0), &b = site.x(1);
    return {
        Datapath(site.program.march)
            .sum(exact(a.scale), exact(b.scale), site.step.op->name() == "sub", std::max(a.bits, b.bits), site.y())};
  }
};

}  // namespace

const Twin& add_twin() {
  static const Add twin;
  return twin;
}

}  // namespace sinter::bpu::witness
