#include <algorithm>
#include <set>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

Windows windows_of(const Site& site) {
  const Attributes a(site.step);
  return {a, a.pair("kernel")};
}

// How many values the mean of a window is taken over.
int64_t counted(const Site& site, int64_t row, int64_t column) {
  const Windows windows = windows_of(site);
  const Shape& x = site.x().shape;
  const bool padded = Attributes(site.step).get("count_include_pad", true);
  int64_t count = 1;
  for (const size_t axis : {0, 1}) {
    const int64_t size = x[static_cast<int>(axis) + 1];
    int64_t along = 0;
    for (int64_t k = 0; k < windows.kernel[axis]; ++k) {
      const int64_t at = windows.at(axis, axis == 0 ? row : column, k);
      const bool inside = at >= 0 && at < size;
      along += inside || (padded && at < size + windows.padding[axis]);
    }
    count *= along;
  }
  return count;
}

// All such numbers, ascending.
std::vector<int64_t> all_counts(const Site& site) {
  std::set<int64_t> counts;
  const Shape& y = site.y().shape;
  for (int64_t row = 0; row < y[1]; ++row)
    for (int64_t column = 0; column < y[2]; ++column) counts.insert(counted(site, row, column));
  return {counts.begin(), counts.end()};
}

class AvgPool final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Windows windows = windows_of(site);
    const std::vector<int64_t> counts = all_counts(site);
    return rescaled(site, shape, [&](const Index& at) {
      int64_t sum = 0;
      windows.each_inside(in[0]->shape, at[1], at[2], [&](int64_t h, int64_t w, int64_t, int64_t) {
        sum += value_at(*in[0], {at[0], h, w, at[3]});
      });
      const auto found = std::find(counts.begin(), counts.end(), counted(site, at[1], at[2]));
      return Term{sum, 0, static_cast<size_t>(found - counts.begin())};
    });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    std::vector<quant::Rescaling> all;
    for (const int64_t count : all_counts(site))
      all.push_back(Datapath(site.program.march).mean(exact(site.x().scale), count, site.y()));
    return all;
  }
};

}  // namespace

const Twin& avg_pool_twin() {
  static const AvgPool twin;
  return twin;
}

}  // namespace sinter::bpu::witness
