#include "../../../core/ops/reduce.h"

#include <numeric>

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("means and sums over any axes but the batch's") {
  for (const Reduction& a : kReductions) {
    CAPTURE(a.axes);
    const auto total = [&](const std::vector<int64_t>& all) {
      return std::accumulate(all.begin(), all.end(), int64_t{0});
    };
    check_layer([&](const Tensors& x) { return mean(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.mean(c.x[0].scale, a.h * a.w * a.c, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(a.values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
    check_layer([&](const Tensors& x) { return sum(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.accumulator(c.x[0].scale, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(a.values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
  }
}
