#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Mean final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Plain& x = *in[0];
    std::vector<int64_t> sums(static_cast<size_t>(shape.elements()), 0);
    each_index(x.shape,
               [&](const Index& at) { sums[static_cast<size_t>(at[0] * x.shape[3] + at[3])] += value_at(x, at); });
    size_t next = 0;
    return rescaled(site, shape, [&](const Index&) { return Term{sums[next++]}; });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    const Value& x = site.x();
    return {Datapath(site.program.march).mean(exact(x.scale), x.shape[1] * x.shape[2], site.y())};
  }
};

}  // namespace

const Twin& mean_twin() {
  static const Mean twin;
  return twin;
}

}  // namespace sinter::bpu::witness
