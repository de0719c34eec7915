#include "../../../core/ops/sigmoid.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("sigmoid computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("sigmoid")) continue;
    ++cases;
    CHECK_GOLDEN(c, sigmoid);
  }
  CHECK(cases == 2);
}

TEST_CASE("sigmoid's gradient is that of finite differences") { CHECK_GRADIENT(sigmoid, {test::normal({5, 9}, 1, 3)}); }

TEST_CASE("sigmoid overwrites only what nobody else sees") {
  const Tensor x = test::normal({20});
  const Tensor y = sigmoid(x);
  CHECK_SAME(x, test::normal({20}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = sigmoid(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("sigmoid does not depend on the number of threads") {
  CHECK_THREADS(sigmoid, {test::normal({301, 299}, 1, 4)});
}

TEST_CASE("sigmoid takes any shape, also an empty one, of float32") {
  CHECK(sigmoid(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(sigmoid(Tensor::full({}, 0)).item() == 0.5f);
  CHECK_ERROR(sigmoid(Tensor::zeros({2}, DType::int8)), "sigmoid: input 0 is int8 [2], expected float32");
}
