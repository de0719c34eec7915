#include "../../../../core/ops/pixel_shuffle.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness spreads the channels of a pixel over a square") {
  const TwinValue x{{1, 1, 2, 4}, 1, {1, 2, 3, 4, 5, 6, 7, 8}};
  CHECK(twin_of(twin_step("pixel_shuffle", ops::PixelShuffle(PixelShuffleAttributes{2})), {x}, {{1, 2, 4, 1}, 1}) ==
        Integers{1, 2, 5, 6, 3, 4, 7, 8});
}
