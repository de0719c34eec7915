#include "../../../core/ops/relu6.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

TEST_CASE("relu6 computes what PyTorch's computes") {
  for (const auto& c : test::golden("activation"))
    if (c.name.starts_with("relu6")) CHECK_GOLDEN(c, relu6);
}

TEST_CASE("relu6's gradient is that of finite differences") {
  CHECK_GRADIENT(relu6, {test::distinct({9, 15})});  // from -6.75 to 6.75
}

TEST_CASE("NaN survives relu6") {
  const float nan = std::nanf("");
  CHECK_CLOSE(relu6(Tensor::from({3}, {-1, nan, 7})), Tensor::from({3}, {0, nan, 6}));
}

TEST_CASE("relu6 overwrites only what nobody else sees") {
  const Tensor x = Tensor::from({3}, {-1, 2, 7});
  const Tensor y = relu6(x);
  CHECK_SAME(x, Tensor::from({3}, {-1, 2, 7}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  const Tensor z = relu6(std::move(temporary));
  CHECK(z.data<float>() == before);
  CHECK_SAME(z, y);
}

TEST_CASE("relu6 does not depend on the number of threads") { CHECK_THREADS(relu6, {test::normal({300, 300}, 1, 5)}); }

TEST_CASE("relu6 takes any shape, also an empty one, of float32") {
  CHECK(relu6(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(relu6(Tensor::full({}, 9)).item() == 6);
  CHECK_ERROR(relu6(Tensor::zeros({2}, DType::int8)), "relu6: input 0 is int8 [2], expected float32");
}
