#include "../../../../core/ops/reduce.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness takes means and sums over any axes, rounded once") {
  const TwinValue x{{1, 2, 2, 2}, 1, {1, -2, 3, 4, -5, 6, 7, -8}};
  const auto of = [&](const auto& op, const Shape& y, double scale) {
    return twin_of(twin_step("mean", op), {x}, {y, scale});
  };
  CHECK(of(ops::Mean({.axes = {1, 2}, .keep = true}), {1, 1, 1, 2}, 1) == Integers{2, 0});      // 6/4, 0/4
  CHECK(of(ops::Mean({.axes = {-1}, .keep = true}), {1, 2, 2, 1}, 1) == Integers{0, 4, 0, 0});  // -.5, 3.5, .5, -.5
  CHECK(of(ops::Sum({.axes = {1, 2}, .keep = true}), {1, 1, 1, 2}, 4) == Integers{2, 0});       // 6/4, 0
  CHECK(of(ops::Sum({.axes = {2}, .keep = true}), {1, 2, 1, 2}, 1) == Integers{4, 2, 2, -2});
}
