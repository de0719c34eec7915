#include "../../../core/ops/reduce.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the largest and the least over any axes but the batch's") {
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
    check_layer([&](const Tensors& x) { return max(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = values(c, at...);
                    return *std::max_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
    check_layer([&](const Tensors& x) { return min(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = values(c, at...);
                    return *std::min_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
  }
}
