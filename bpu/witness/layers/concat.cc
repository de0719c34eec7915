#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Concat final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const int axis = Attributes(site.step).axis(shape.rank());
    return rescaled(site, shape, [&](Index at) {
      int64_t& along = at[static_cast<size_t>(axis)];
      size_t part = 0;
      for (; along >= in[part]->shape[axis]; ++part) along -= in[part]->shape[axis];
      return Term{value_at(*in[part], at), 0, part};
    });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    std::vector<quant::Rescaling> all;
    for (size_t i = 0; i < site.step.inputs.size(); ++i)
      all.push_back(Datapath(site.program.march).narrow(site.x(i), site.y()));
    return all;
  }
};

}  // namespace

const Twin& concat_twin() {
  static const Concat twin;
  return twin;
}

}  // namespace sinter::bpu::witness
