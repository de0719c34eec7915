#include "../../../../core/ops/relu.h"
#include "../../../../core/ops/relu6.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness keeps what an activation lets through, and rounds 6 to the scale") {
  const TwinValue x{{1, 1, 1, 4}, 0.5, {-3, 5, 12, 127}}, y{{1, 1, 1, 4}, 0.5};
  CHECK(twin_of(twin_step("clamp", ops::Relu()), {x}, y) == Integers{0, 5, 12, 127});
  CHECK(twin_of(twin_step("clamp", ops::Relu6()), {x}, y) == Integers{0, 5, 12, 12});
  // 6 / 4 is 1.5, whose even neighbour is 2.
  CHECK(twin_of(twin_step("clamp", ops::Relu6()), {{{1, 1, 1, 2}, 4, {1, 3}}}, {{1, 1, 1, 2}, 4}) == Integers{1, 2});
}
