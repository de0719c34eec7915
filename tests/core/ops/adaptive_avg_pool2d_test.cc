#include "../../../core/ops/adaptive_avg_pool2d.h"

#include <cmath>
#include <limits>

#include "../../support.h"

using namespace sinter;

TEST_CASE("adaptive_avg_pool2d computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("pool")) {
    if (!c.name.starts_with("adaptive")) continue;
    ++cases;
    const auto size = c.attribute<std::vector<int64_t>>("size");
    CHECK_GOLDEN(c, [&](const Tensor& x) { return adaptive_avg_pool2d(x, {size[0], size[1]}); });
  }
  CHECK(cases == 9);
}

TEST_CASE("adaptive_avg_pool2d's gradient is that of finite differences") {
  CHECK_GRADIENT([](const Tensor& x) { return adaptive_avg_pool2d(x, {2, 3}); }, {test::normal({1, 5, 4, 2})});
  CHECK_GRADIENT([](const Tensor& x) { return adaptive_avg_pool2d(x, 1); }, {test::normal({1, 5, 4, 2})});
}

TEST_CASE("adaptive_avg_pool2d does not depend on the number of threads, and NaN stays in its windows") {
  CHECK_THREADS([](const Tensor& x) { return adaptive_avg_pool2d(x, {7, 5}); }, {test::normal({4, 33, 40, 16})});
  Tensor x = Tensor::zeros({1, 5, 5, 1});
  x.mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  const Tensor y = adaptive_avg_pool2d(x, 3);
  CHECK(std::isnan(y.at({0, 0, 0, 0})));
  CHECK(y.at({0, 1, 1, 0}) == 0);
}

TEST_CASE("adaptive_avg_pool2d says what does not fit") {
  CHECK_ERROR(adaptive_avg_pool2d(Tensor::zeros({2, 3, 4}), 1),
              "adaptive_avg_pool2d: input is float32 [2,3,4], expected float32 [N,H,W,C]");
  CHECK_ERROR(adaptive_avg_pool2d(Tensor::zeros({2, 3, 4, 1}), {1, 0}),
              "adaptive_avg_pool2d: size is 1x0, expected at least 1");
  CHECK_ERROR(adaptive_avg_pool2d(Tensor::zeros({2, 0, 4, 1}), 2), "expected at least one pixel");
}
