#include "../../../core/ops/log_softmax.h"

#include "../../support.h"

using namespace sinter;

namespace {
auto along(int64_t axis) {
  return [axis](const Tensor& x) { return log_softmax(x, axis); };
}
}  // namespace

TEST_CASE("log_softmax computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("softmax")) {
    if (!c.name.starts_with("log_softmax ")) continue;
    ++cases;
    CHECK_GOLDEN(c, along(c.attribute<int64_t>("axis")));
  }
  CHECK(cases > 0);
}

TEST_CASE("log_softmax's gradient is that of finite differences") {
  CHECK_GRADIENT(along(-1), {test::normal({3, 5})});
  CHECK_GRADIENT(along(1), {test::normal({2, 4, 3})});
}

TEST_CASE("log_softmax does not depend on the number of threads") {
  CHECK_THREADS(along(-1), {test::normal({60, 500})});
  CHECK_THREADS(along(0), {test::normal({60, 500})});
}

TEST_CASE("log_softmax of an empty batch is empty") {
  CHECK(log_softmax(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(log_softmax(Tensor::zeros({3, 0})).shape() == Shape{3, 0});
}

TEST_CASE("log_softmax says what does not fit") {
  CHECK_ERROR(log_softmax(Tensor::zeros({2, 3}), 2), "log_softmax: axis 2 is out of range for 2 axes");
  CHECK_ERROR(log_softmax(Tensor::zeros({})), "log_softmax: axis -1 is out of range for 0 axes");
  CHECK_ERROR(log_softmax(Tensor::zeros({2}, DType::int8)), "log_softmax: input 0 is int8 [2], expected float32");
}
