#include "../../../core/ops/reduce.h"

#include <numeric>

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("means and sums over any axes but the batch's") {
  struct Axes {
    std::vector<int64_t> axes;
    int64_t h, w, c;  // how many values of each are one
  };
  for (const Axes& a :
       {Axes{{1, 2}, 5, 6, 1}, {{-1}, 1, 1, 4}, {{2}, 1, 6, 1}, {{1, 3}, 5, 1, 4}, {{1, 2, 3}, 5, 6, 4}}) {
    CAPTURE(a.axes);
    const auto values = [&](const Case& c, int64_t n, int64_t h, int64_t w, int64_t k) {
      std::vector<int64_t> all;
      for (int64_t i = 0; i < a.h; ++i)
        for (int64_t j = 0; j < a.w; ++j)
          for (int64_t l = 0; l < a.c; ++l) all.push_back(c.x[0].at(n, h + i, w + j, k + l));
      return all;
    };
    const auto total = [&](const std::vector<int64_t>& all) {
      return std::accumulate(all.begin(), all.end(), int64_t{0});
    };
    check_layer([&](const Tensors& x) { return mean(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.mean(c.x[0].scale, a.h * a.w * a.c, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
    check_layer([&](const Tensors& x) { return sum(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  const auto by = c.path.accumulator(c.x[0].scale, c.y.scale, c.y.bits);
                  return c.each([&](auto... at) { return c.rescaled(total(values(c, at...)), by); });
                },
                {.differ = a.axes.size() < 3});
  }
}
