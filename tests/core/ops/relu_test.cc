#include "../../../core/ops/relu.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

TEST_CASE("relu computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (c.name != "relu" && !c.name.starts_with("relu ")) continue;
    ++cases;
    CHECK_GOLDEN(c, relu);
  }
  CHECK(cases > 0);
}

TEST_CASE("relu's gradient is that of finite differences") { CHECK_GRADIENT(relu, {test::distinct({5, 9})}); }

TEST_CASE("NaN survives relu") {
  const float nan = std::nanf("");
  CHECK_CLOSE(relu(Tensor::from({3}, {-1, nan, 7})), Tensor::from({3}, {0, nan, 7}));
}

TEST_CASE("relu overwrites only what nobody else sees") {
  const Tensor x = Tensor::from({3}, {-1, 2, 7});
  const Tensor y = relu(x);
  CHECK_SAME(x, Tensor::from({3}, {-1, 2, 7}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = relu(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("relu needs its output for backward, not its input") {
  Tensor x = Tensor::from({2}, {-1, 2});
  x.set_requires_grad(true);
  Tensor y = relu(x);
  x.mutable_data<float>()[0] = 5;
  y.backward(Tensor::ones({2}), true);
  CHECK_SAME(x.grad(), Tensor::from({2}, {0, 1}));
  y.mutable_data<float>()[0] = 5;
  CHECK_ERROR(y.backward(Tensor::ones({2})),
              "backward: relu needs a float32 [2] that was overwritten after the forward pass");
}

TEST_CASE("relu does not depend on the number of threads") { CHECK_THREADS(relu, {test::normal({300, 300})}); }

TEST_CASE("relu takes any shape, also an empty one, of float32") {
  CHECK(relu(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(relu(Tensor::full({}, -9)).item() == 0);
  CHECK_ERROR(relu(Tensor::zeros({2}, DType::int8)), "relu: input 0 is int8 [2], expected float32");
}
