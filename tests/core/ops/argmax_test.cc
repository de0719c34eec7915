#include "../../../core/ops/argmax.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("argmax computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("softmax")) {
    if (!c.name.starts_with("argmax")) continue;
    ++cases;
    CHECK_GOLDEN(c,
                 [&](const Tensor& x) { return argmax(x, c.attribute<int64_t>("axis"), c.attribute<bool>("keep")); });
  }
  CHECK(cases > 0);
}

TEST_CASE("argmax ends the gradient") {
  Tensor x = test::normal({2, 3});
  x.set_requires_grad(true);
  CHECK(!argmax(x).requires_grad());
}

TEST_CASE("argmax does not depend on the number of threads") {
  CHECK_THREADS([](const Tensor& x) { return argmax(x, 0); }, {test::normal({40, 500})});
}

TEST_CASE("argmax says what does not fit") {
  CHECK(argmax(Tensor::zeros({0, 3})).shape() == Shape{0});
  CHECK_ERROR(argmax(Tensor::zeros({2, 0})), "argmax: input is [2,0], expected at least one element to choose from");
  CHECK_ERROR(argmax(Tensor::zeros({2, 3}), -3), "argmax: axis -3 is out of range for 2 axes");
  CHECK_ERROR(argmax(Tensor::zeros({2}, DType::int8)), "argmax: input 0 is int8 [2], expected float32");
}
