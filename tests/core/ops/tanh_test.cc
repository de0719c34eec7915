#include "../../../core/ops/tanh.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("tanh computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("tanh")) continue;
    ++cases;
    CHECK_GOLDEN(c, tanh);
  }
  CHECK(cases == 2);
}

TEST_CASE("tanh's gradient is that of finite differences") { CHECK_GRADIENT(tanh, {test::normal({5, 9}, 1, 2)}); }

TEST_CASE("tanh overwrites only what nobody else sees") {
  const Tensor x = test::normal({20});
  const Tensor y = tanh(x);
  CHECK_SAME(x, test::normal({20}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = tanh(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("tanh does not depend on the number of threads") { CHECK_THREADS(tanh, {test::normal({301, 299}, 1, 4)}); }

TEST_CASE("tanh takes any shape, also an empty one, of float32") {
  CHECK(tanh(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(tanh(Tensor::full({}, 0)).item() == 0);
  CHECK_ERROR(tanh(Tensor::zeros({2}, DType::int8)), "tanh: input 0 is int8 [2], expected float32");
}
