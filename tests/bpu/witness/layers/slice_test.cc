#include "../../../../core/ops/slice.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness takes values of an axis by their places, from its end, and with steps") {
  const TwinValue x{{1, 2, 3}, 1, {1, 2, 3, 4, 5, 6}};
  const auto of = [&](const SliceAttributes& a, const Shape& y) {
    return twin_of(twin_step("slice", ops::Slice(a)), {x}, {y, 1});
  };
  CHECK(of({.axis = -1, .begin = 1}, {1, 2, 2}) == Integers{2, 3, 5, 6});
  CHECK(of({.axis = 1, .begin = -1}, {1, 1, 3}) == Integers{4, 5, 6});
  CHECK(of({.axis = 2, .begin = 0, .step = 2}, {1, 2, 2}) == Integers{1, 3, 4, 6});
}
