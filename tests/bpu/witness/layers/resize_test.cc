#include "../../../../core/ops/resize.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness repeats the nearest pixel, and mixes two by their distance") {
  const TwinValue x{{1, 1, 2, 1}, 1, {10, -7}};
  const auto resized = [&](const ResizeAttributes& a, const Shape& y) {
    return twin_of(twin_step("resize", ops::Resize(a)), {x}, {y, 1});
  };
  CHECK(resized({.scale = {1, 2}}, {1, 1, 4, 1}) == Integers{10, 10, -7, -7});
  CHECK(resized({.scale = {1, 1.5}}, {1, 1, 3, 1}) == Integers{10, 10, -7});
  // At -1/4, 1/4, 3/4 and 5/4: 10, 5.75, -2.75, -7.
  CHECK(resized({.scale = {1, 2}, .mode = "bilinear"}, {1, 1, 4, 1}) == Integers{10, 6, -3, -7});
}
