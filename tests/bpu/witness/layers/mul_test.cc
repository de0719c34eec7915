#include "../../../../core/ops/arithmetic.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness multiplies exactly, and rounds once") {
  // In quarters of y's unit.
  const TwinValue a{{1, 1, 2, 2}, 0.5, {2, 3, -5, 127}}, b{{1, 1, 2, 2}, 0.25, {1, 2, 2, 127}}, y{{1, 1, 2, 2}, 0.5};
  CHECK(twin_of(twin_step("mul", ops::Mul()), {a, b}, y) == Integers{0, 2, -2, 127});  // 0.5, 1.5, -2.5, 4032.25
  CHECK(twin_of(twin_step("mul", ops::Mul()), {a, {{1, 1, 1, 2}, 0.25, {4, -8}}}, y) == Integers{2, -6, -5, -128});
}
