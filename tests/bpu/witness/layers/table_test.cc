#include "../../../../core/ops/abs.h"
#include "../../../../core/ops/leaky_relu.h"
#include "../../../../core/ops/sigmoid.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

namespace {

// With the table that is worked out here.
Integers looked_up(quant::Instruction step, double scale, double y_scale, const Integers& q,
                   const std::function<int64_t(int64_t)>& entry) {
  step.table = Tensor::empty({256}, DType::int8);
  for (int64_t i = 0; i < 256; ++i) step.table.mutable_data<int8_t>()[i] = static_cast<int8_t>(entry(i - 128));
  const Shape shape{1, static_cast<int64_t>(q.size())};
  return twin_of(std::move(step), {{shape, scale, q}}, {shape, y_scale});
}

}  // namespace

TEST_CASE("the witness works out a table's entries itself") {
  const Integers x{-128, -3, -1, 0, 1, 127};
  const auto wrong = [](int64_t) { return 99; };  // what the program has is not what counts
  CHECK(looked_up(twin_step("table", ops::Abs()), 1, 1, x, wrong) == Integers{127, 3, 1, 0, 1, 127});
  CHECK(looked_up(twin_step("table", ops::LeakyRelu({0.5})), 1, 1, x, wrong) ==
        Integers{-64, -2, 0, 0, 1, 127});  // -64, -1.5, -0.5
}

TEST_CASE("where a smooth function is near a tie, the witness takes either neighbour, and no other number") {
  // sigmoid(0) = 0.5 is exactly between 0 and 1.
  const auto sigmoid = [](int64_t entry) {
    return looked_up(twin_step("table", ops::Sigmoid()), 1, 1, {0}, [=](int64_t) { return entry; })[0];
  };
  CHECK(sigmoid(0) == 0);
  CHECK(sigmoid(1) == 1);
  CHECK(sigmoid(2) == 0);
}
