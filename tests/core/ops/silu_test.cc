#include "../../../core/ops/silu.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("silu computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("activation")) {
    if (!c.name.starts_with("silu")) continue;
    ++cases;
    CHECK_GOLDEN(c, silu);
  }
  CHECK(cases == 2);
}

TEST_CASE("silu's gradient is that of finite differences") { CHECK_GRADIENT(silu, {test::normal({5, 9}, 1, 3)}); }

TEST_CASE("silu does not depend on the number of threads") { CHECK_THREADS(silu, {test::normal({301, 299}, 1, 4)}); }

TEST_CASE("silu takes any shape, also an empty one, of float32") {
  CHECK(silu(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(silu(Tensor::full({}, 0)).item() == 0);
  CHECK_ERROR(silu(Tensor::zeros({2}, DType::int8)), "silu: input 0 is int8 [2], expected float32");
}
