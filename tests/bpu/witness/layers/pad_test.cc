#include "../../../../core/ops/pad.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness rounds a border to the scale, and keeps it within the type") {
  const auto padded = [](double value, double scale) {
    const PadAttributes a{.before = {0, 0, 1, 0}, .after = {0, 1, 0, 0}, .value = value};
    return twin_of(twin_step("pad", ops::Pad(a)), {{{1, 1, 2, 1}, scale, {5, -6}}}, {{1, 2, 3, 1}, scale});
  };
  CHECK(padded(0, 1) == Integers{0, 5, -6, 0, 0, 0});
  CHECK(padded(1.25, 0.5) == Integers{2, 5, -6, 2, 2, 2});  // 2.5
  CHECK(padded(-1000, 1) == Integers{-128, 5, -6, -128, -128, -128});
}
