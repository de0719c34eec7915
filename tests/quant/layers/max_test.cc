#include "../../../core/ops/reduce.h"

#include "../one_layer.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the largest and the least over any axes but the batch's") {
  for (const Reduction& a : kReductions) {
    CAPTURE(a.axes);
    check_layer([&](const Tensors& x) { return max(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = a.values(c, at...);
                    return *std::max_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
    check_layer([&](const Tensors& x) { return min(x[0], a.axes, true); }, {kImage},
                [&](const Case& c) {
                  return c.each([&](auto... at) {
                    const auto all = a.values(c, at...);
                    return *std::min_element(all.begin(), all.end());
                  });
                },
                {.differ = a.axes.size() < 2});
  }
}
