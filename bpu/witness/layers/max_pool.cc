#include <algorithm>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class MaxPool final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Attributes a(site.step);
    const Windows windows(a, a.pair("kernel"));
    return made(shape, [&](const Index& at) {
      int64_t best = INT64_MIN;
      windows.each_inside(in[0]->shape, at[1], at[2], [&](int64_t h, int64_t w, int64_t, int64_t) {
        best = std::max(best, value_at(*in[0], {at[0], h, w, at[3]}));
      });
      return best;
    });
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& max_pool_twin() {
  static const MaxPool twin;
  return twin;
}

}  // namespace sinter::bpu::witness
