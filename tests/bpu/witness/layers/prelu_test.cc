#include "../../../../core/ops/prelu.h"

#include "../twin.h"

using namespace sinter;
using namespace sinter::test;

TEST_CASE("the witness has a slope for what is negative, by channel or for all") {
  const auto of = [](const Tensor& slopes) {
    quant::Instruction step = twin_step("prelu", ops::Prelu());
    step.constants = {Tensor(), slopes};
    return twin_of(step, {{{1, 1, 2, 2}, 1, {4, -6, -6, 127}}}, {{1, 1, 2, 2}, 1});
  };
  CHECK(of(Tensor::from({2}, {0.25f, -0.5f})) == Integers{4, 3, -2, 127});  // 4, 3, -1.5
  CHECK(of(Tensor::from({1}, {0.25f})) == Integers{4, -2, -2, 127});
}
