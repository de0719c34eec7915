#include "../../../../core/ops/arithmetic.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness adds and takes away, and rounds ties to even, once") {
  // In units of 1/4: 2 a + b, then halves.
  const TwinValue a{{1, 1, 2, 2}, 0.5, {1, 2, -3, 127}}, b{{1, 1, 2, 2}, 0.25, {1, 3, 2, 127}}, y{{1, 1, 2, 2}, 0.5};
  CHECK(twin_of(twin_step("add", ops::Add()), {a, b}, y) == Integers{2, 4, -2, 127});  // 1.5, 3.5, -2, 190.5
  CHECK(twin_of(twin_step("add", ops::Sub()), {a, b}, y) == Integers{0, 0, -4, 64});   // 0.5, 0.5, -4, 63.5
  CHECK(twin_of(twin_step("add", ops::Sub()), {b, a}, y) == Integers{0, 0, 4, -64});
  // One value for all, and one for each channel.
  CHECK(twin_of(twin_step("add", ops::Add()), {a, {{1, 1, 1, 1}, 0.5, {10}}}, y) == Integers{11, 12, 7, 127});
  CHECK(twin_of(twin_step("add", ops::Add()), {{{1, 1, 1, 2}, 0.5, {10, -10}}, a}, y) == Integers{11, -8, 7, 117});
}

TEST_CASE("the witness refuses operands of another rank than the result") {
  CHECK_ERROR(twin_of(twin_step("add", ops::Add()), {{{1, 2}, 1, {1, 2}}, {{1, 1, 2}, 1, {1, 2}}}, {{1, 1, 2}, 1}),
              "reference: an operand is [1,2], its result [1,1,2], expected one rank");
}
