#include "../../../core/ops/leaky_relu.h"

#include "../../support.h"

using namespace sinter;

namespace {
auto by(double slope) {
  return [slope](const Tensor& x) { return leaky_relu(x, {.negative_slope = slope}); };
}
}  // namespace

TEST_CASE("leaky_relu computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("leaky_relu")) continue;
    ++cases;
    CHECK_GOLDEN(c, by(c.attribute<double>("negative_slope")));
  }
  CHECK(cases == 4);
}

TEST_CASE("leaky_relu's gradient is that of finite differences") {
  CHECK_GRADIENT(by(0.2), {test::distinct({5, 9})});
  CHECK_GRADIENT(by(0), {test::distinct({5, 9})});
}

TEST_CASE("leaky_relu's slope is PyTorch's unless told, and not below 0") {
  CHECK_SAME(leaky_relu(Tensor::from({2}, {-100, 100})), Tensor::from({2}, {-1, 100}));
  CHECK_ERROR(by(-0.1)(Tensor::zeros({1})), "leaky_relu: negative_slope is -0.1, expected 0 or more");
}

TEST_CASE("leaky_relu overwrites only what nobody else sees") {
  const Tensor x = test::normal({20});
  const Tensor y = leaky_relu(x);
  CHECK_SAME(x, test::normal({20}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = leaky_relu(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("leaky_relu does not depend on the number of threads") {
  CHECK_THREADS(by(0.1), {test::normal({301, 299}, 1, 4)});
}

TEST_CASE("leaky_relu takes any shape, also an empty one, of float32") {
  CHECK(leaky_relu(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(leaky_relu(Tensor::full({}, 0)).item() == 0);
  CHECK_ERROR(leaky_relu(Tensor::zeros({2}, DType::int8)), "leaky_relu: input 0 is int8 [2], expected float32");
}
