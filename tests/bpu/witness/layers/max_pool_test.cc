#include "../../../../core/ops/max_pool2d.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness finds the largest value inside of each window") {
  const TwinValue x{{1, 2, 3, 1}, 1, {-1, -2, -3, -4, 5, -6}};
  const auto pooled = [&](const MaxPoolAttributes& a, const Shape& shape) {
    return twin_of(twin_step("max_pool", ops::MaxPool2d(a)), {x}, {shape, 1});
  };
  CHECK(pooled({.kernel = Pair{2, 1}, .stride = 1}, {1, 1, 3, 1}) == Integers{-1, 5, -3});
  // A border is smaller than anything.
  CHECK(pooled({.kernel = 2, .stride = 2, .padding = 1}, {1, 2, 2, 1}) == Integers{-1, -2, -4, 5});
  CHECK(pooled({.kernel = Pair{1, 2}, .stride = 1, .dilation = 2}, {1, 2, 1, 1}) == Integers{-1, -4});
}
