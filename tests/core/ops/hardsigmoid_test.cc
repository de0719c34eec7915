#include "../../../core/ops/hardsigmoid.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

namespace {
Tensor by_default(const Tensor& x) { return hardsigmoid(x); }
}  // namespace

TEST_CASE("hardsigmoid computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("hardsigmoid")) continue;
    ++cases;
    CHECK_GOLDEN(c, by_default);
  }
  CHECK(cases == 2);
}

TEST_CASE("hardsigmoid's gradient is that of finite differences") {
  CHECK_GRADIENT(by_default, {test::distinct({9, 15})});
}

TEST_CASE("hardsigmoid overwrites only what nobody else sees") {
  const Tensor x = test::normal({20});
  const Tensor y = hardsigmoid(x);
  CHECK_SAME(x, test::normal({20}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = hardsigmoid(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("hardsigmoid does not depend on the number of threads") {
  CHECK_THREADS(by_default, {test::normal({301, 299}, 1, 4)});
}

TEST_CASE("hardsigmoid takes any shape, also an empty one, of float32") {
  CHECK(hardsigmoid(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(hardsigmoid(Tensor::full({}, 0)).item() == 0.5f);
  CHECK_ERROR(hardsigmoid(Tensor::zeros({2}, DType::int8)), "hardsigmoid: input 0 is int8 [2], expected float32");
}

TEST_CASE("hardsigmoid has ONNX's slope and offset") {
  const auto onnx = [](const Tensor& x) { return hardsigmoid(x, {.slope = 0.2, .offset = 0.5}); };
  CHECK_CLOSE(onnx(Tensor::from({5}, {-3, -2.5, 0, 1, 4})), Tensor::from({5}, {0, 0, 0.5, 0.7, 1}));
  CHECK_GRADIENT(onnx, {test::distinct({9, 15})});
  CHECK_ERROR(hardsigmoid(Tensor::zeros({1}), {.slope = 0}), "hardsigmoid: slope is 0, expected above 0");
  CHECK_ERROR(hardsigmoid(Tensor::zeros({1}), {.offset = NAN}), "hardsigmoid: offset is nan, expected a finite number");
}
