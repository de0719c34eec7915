#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Permute final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const auto axes = Attributes(site.step).get<std::vector<int64_t>>("axes", {});
    return made(shape, [&](const Index& at) {
      Index from{};
      for (size_t i = 0; i < axes.size(); ++i)
        from[static_cast<size_t>(axes[i] < 0 ? axes[i] + shape.rank() : axes[i])] = at[i];
      return value_at(*in[0], from);
    });
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& permute_twin() {
  static const Permute twin;
  return twin;
}

}  // namespace sinter::bpu::witness
