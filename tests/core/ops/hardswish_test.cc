#include "../../../core/ops/hardswish.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

TEST_CASE("hardswish computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("hardswish")) continue;
    ++cases;
    CHECK_GOLDEN(c, hardswish);
  }
  CHECK(cases == 2);
}

TEST_CASE("hardswish's gradient is that of finite differences") {
  CHECK_GRADIENT(hardswish, {test::distinct({9, 15})});
}

TEST_CASE("NaN survives hardswish") { CHECK(std::isnan(hardswish(Tensor::full({1}, std::nan(""))).item())); }

TEST_CASE("hardswish does not depend on the number of threads") {
  CHECK_THREADS(hardswish, {test::normal({301, 299}, 1, 4)});
}

TEST_CASE("hardswish takes any shape, also an empty one, of float32") {
  CHECK(hardswish(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(hardswish(Tensor::full({}, 0)).item() == 0);
  CHECK_ERROR(hardswish(Tensor::zeros({2}, DType::int8)), "hardswish: input 0 is int8 [2], expected float32");
}
