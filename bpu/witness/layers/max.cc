#include <algorithm>

#include "../reductions.h"

namespace sinter::bpu::witness {

namespace {

// The largest, or the least.
class Max final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const bool largest = site.step.op->name() == "max";
    const std::vector<bool> axes = reduced(site);
    Plain y{shape, std::vector<int64_t>(static_cast<size_t>(shape.elements()), largest ? INT64_MIN : INT64_MAX)};
    each_index(in[0]->shape, [&](const Index& at) {
      int64_t& best = y.values[result_of(in[0]->shape, axes, at)];
      best = largest ? std::max(best, value_at(*in[0], at)) : std::min(best, value_at(*in[0], at));
    });
    return y;
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& max_twin() {
  static const Max twin;
  return twin;
}

}  // namespace sinter::bpu::witness
