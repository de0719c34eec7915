#include "../../../core/ops/prelu.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("prelu computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("prelu")) continue;
    ++cases;
    CHECK_GOLDEN(c, prelu);
  }
  CHECK(cases == 4);
}

TEST_CASE("prelu's gradients are those of finite differences") {
  CHECK_GRADIENT(prelu, {test::distinct({2, 3, 2, 4}), test::normal({4}, 2)});
  CHECK_GRADIENT(prelu, {test::distinct({2, 3, 4}), test::normal({1}, 2)});
  CHECK_GRADIENT(prelu, {test::distinct({6}), test::normal({6}, 2)});
}

TEST_CASE("prelu does not depend on the number of threads") {
  CHECK_THREADS(prelu, {test::normal({30, 30, 30, 5}), test::normal({5}, 2)});
  CHECK_THREADS(prelu, {test::normal({300, 300}), test::normal({1}, 2)});
}

TEST_CASE("prelu of an empty batch is empty, and its weight's gradient zero") {
  Tensor x = Tensor::zeros({0, 2, 3}), weight = test::normal({3});
  x.set_requires_grad(true);
  weight.set_requires_grad(true);
  prelu(x, weight).backward(Tensor::zeros({0, 2, 3}));
  CHECK(x.grad().shape() == x.shape());
  CHECK_SAME(weight.grad(), Tensor::zeros({3}));
}

TEST_CASE("prelu says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(prelu(x, Tensor::zeros({2})), "prelu: weight is [2], expected [3] or [1]");
  CHECK_ERROR(prelu(x, Tensor::zeros({2, 3})), "prelu: weight is [2,3], expected [3] or [1]");
  CHECK_ERROR(prelu(Tensor::zeros({}), Tensor::zeros({1})), "prelu: input is [], expected [...,C]");
  CHECK_ERROR(prelu(x, Tensor::zeros({3}, DType::int8)), "prelu: input 1 is int8 [3], expected float32");
}
