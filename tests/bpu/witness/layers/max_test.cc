#include "../../../../core/ops/reduce.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness finds the largest and the least over any axes") {
  const TwinValue x{{1, 2, 2, 2}, 1, {1, -2, 3, 4, -5, 6, 7, -8}};
  const auto of = [&](const auto& op, const Shape& y) { return twin_of(twin_step("max", op), {x}, {y, 1}); };
  CHECK(of(ops::Max({.axes = {1, 2}, .keep = true}), {1, 1, 1, 2}) == Integers{7, 6});
  CHECK(of(ops::Max({.axes = {-1}, .keep = true}), {1, 2, 2, 1}) == Integers{1, 4, 6, 7});
  CHECK(of(ops::Min({.axes = {2}, .keep = true}), {1, 2, 1, 2}) == Integers{1, -2, -5, -8});
  CHECK(of(ops::Min({.axes = {1, 2, 3}, .keep = true}), {1, 1, 1, 1}) == Integers{-8});
}
