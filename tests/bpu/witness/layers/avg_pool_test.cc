#include "../../../../core/ops/avg_pool2d.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness takes the mean of what a window counts") {
  const TwinValue x{{1, 2, 2, 1}, 1, {1, 2, 3, 4}};
  const auto pooled = [&](const AvgPoolAttributes& a, const Shape& shape) {
    return twin_of(twin_step("avg_pool", ops::AvgPool2d(a)), {x}, {shape, 1});
  };
  CHECK(pooled({.kernel = 2}, {1, 1, 1, 1}) == Integers{2});  // 2.5
  // Each window has one value inside: a quarter of it, or all of it.
  CHECK(pooled({.kernel = 2, .stride = 2, .padding = 1}, {1, 2, 2, 1}) == Integers{0, 0, 1, 1});
  CHECK(pooled({.kernel = 2, .stride = 2, .padding = 1, .count_include_pad = false}, {1, 2, 2, 1}) ==
        Integers{1, 2, 3, 4});
}
