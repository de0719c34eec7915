#include "../../../../core/ops/reshape.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness leaves integers in their order") {
  CHECK(twin_of(twin_step("reshape", ops::Reshape(ReshapeAttributes{{-1, 6}})), {{{1, 2, 3}, 1, {1, 2, 3, 4, 5, -6}}},
                {{1, 6}, 1}) == Integers{1, 2, 3, 4, 5, -6});
}
