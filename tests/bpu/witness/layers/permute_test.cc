#include "../../../../core/ops/permute.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness changes the places of axes") {
  const TwinValue x{{1, 2, 3}, 1, {1, 2, 3, 4, 5, 6}};
  CHECK(twin_of(twin_step("permute", ops::Permute(PermuteAttributes{{0, 2, 1}})), {x}, {{1, 3, 2}, 1}) ==
        Integers{1, 4, 2, 5, 3, 6});
  // Three axes in a circle: y[c][a][b] = x[a][b][c].
  const TwinValue z{{1, 2, 2, 2}, 1, {0, 1, 2, 3, 4, 5, 6, 7}};
  CHECK(twin_of(twin_step("permute", ops::Permute(PermuteAttributes{{0, -1, 1, 2}})), {z}, {{1, 2, 2, 2}, 1}) ==
        Integers{0, 2, 4, 6, 1, 3, 5, 7});
}
