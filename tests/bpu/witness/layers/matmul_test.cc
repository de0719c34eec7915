#include "../../../../core/ops/matmul.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness multiplies matrices as they are and transposed, one for several") {
  const auto product = [](bool a, bool b, const TwinValue& x, const TwinValue& z, const Shape& y) {
    return twin_of(twin_step("matmul", ops::Matmul({.transpose_a = a, .transpose_b = b})), {x, z}, {y, 1});
  };
  const TwinValue x{{1, 2, 3}, 0.5, {1, 2, 3, 4, 5, 6}}, turned{{1, 3, 2}, 0.5, {1, 4, 2, 5, 3, 6}};
  const TwinValue z{{1, 3, 1}, 0.5, {1, -1, 2}}, row{{1, 1, 3}, 0.5, {1, -1, 2}};
  // 1 - 2 + 6 = 5 and 4 - 5 + 12 = 11 quarters.
  for (const auto& y : {product(false, false, x, z, {1, 2, 1}), product(true, false, turned, z, {1, 2, 1}),
                        product(false, true, x, row, {1, 2, 1}), product(true, true, turned, row, {1, 2, 1})})
    CHECK(y == Integers{1, 3});  // 1.25, 2.75
  CHECK(product(false, false, {{1, 2, 1, 1}, 1, {3, 5}}, {{1, 1, 1, 2}, 1, {2, 7}}, {1, 2, 1, 2}) ==
        Integers{6, 21, 10, 35});
}
