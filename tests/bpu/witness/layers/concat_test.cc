#include "../../../../core/ops/concat.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness rescales each part of a concatenation") {
  const TwinValue a{{1, 1, 2, 2}, 1, {3, 5, -3, -5}}, b{{1, 1, 2, 1}, 2, {7, -8}};
  CHECK(twin_of(twin_step("concat", ops::Concat(ConcatAttributes{-1})), {a, b}, {{1, 1, 2, 3}, 2}) ==
        Integers{2, 2, 7, -2, -2, -8});  // 1.5, 2.5, -1.5, -2.5
  CHECK(twin_of(twin_step("concat", ops::Concat(ConcatAttributes{2})), {b, b}, {{1, 1, 4, 1}, 2}) ==
        Integers{7, -8, 7, -8});
}
