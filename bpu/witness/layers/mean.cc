#include "../reductions.h"

namespace sinter::bpu::witness {

namespace {

// The mean, or the sum.
class Mean final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const std::vector<bool> axes = reduced(site);
    std::vector<int64_t> sums(static_cast<size_t>(shape.elements()), 0);
    each_index(in[0]->shape, [&](const Index& at) { sums[result_of(in[0]->shape, axes, at)] += value_at(*in[0], at); });
    size_t next = 0;
    return rescaled(site, shape, [&](const Index&) { return Term{sums[next++]}; });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    const Datapath datapath(site.program.march);
    const Rational unit = exact(site.x().scale);
    if (site.step.op->name() == "sum") return {datapath.accumulator(unit, site.y())};
    return {datapath.mean(unit, site.x().shape.elements() / site.y().shape.elements(), site.y())};
  }
};

}  // namespace

const Twin& mean_twin() {
  static const Mean twin;
  return twin;
}

}  // namespace sinter::bpu::witness
