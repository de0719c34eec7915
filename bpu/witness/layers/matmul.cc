#include <utility>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Matmul final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Attributes a(site.step);
    const bool turn_a = a.get("transpose_a", false), turn_b = a.get("transpose_b", false);
    const auto last = static_cast<size_t>(shape.rank() - 1);
    const auto element = [&](const Plain& x, Index at, bool turned) {
      for (size_t axis = 0; axis + 1 < last; ++axis) at[axis] = x.shape[static_cast<int>(axis)] == 1 ? 0 : at[axis];
      if (turned) std::swap(at[last], at[last - 1]);
      return value_at(x, at);
    };
    const int64_t depth = in[0]->shape[turn_a ? -2 : -1];
    return rescaled(site, shape, [&](const Index& at) {
      int64_t sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        Index left = at, right = at;
        left[last] = k;
        right[last - 1] = k;
        sum += element(*in[0], left, turn_a) * element(*in[1], right, turn_b);
      }
      return Term{sum};
    });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    return {Datapath(site.program.march).accumulator(exact(site.x(0).scale) * exact(site.x(1).scale), site.y())};
  }
};

}  // namespace

const Twin& matmul_twin() {
  static const Matmul twin;
  return twin;
}

}  // namespace sinter::bpu::witness
