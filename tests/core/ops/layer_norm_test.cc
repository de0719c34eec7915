#include "../../../core/ops/layer_norm.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("layer_norm computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("normalize")) {
    if (!c.name.starts_with("layer_norm")) continue;
    ++cases;
    const LayerNormAttributes attributes{.axes = c.attribute<int64_t>("axes"), .eps = c.attribute<double>("eps")};
    const auto f = [&](const std::vector<Tensor>& t) {
      return layer_norm(t[0], t.size() > 1 ? t[1] : Tensor(), t.size() > 2 ? t[2] : Tensor(), attributes);
    };
    CHECK_GOLDEN(c, f, {.rtol = 1e-5, .atol = 1e-5});
  }
  CHECK(cases == 4);
}

TEST_CASE("layer_norm's gradient is that of finite differences") {
  const auto f = [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, w, b); };
  CHECK_GRADIENT(f, {test::normal({2, 3, 5}), test::normal({5}, 2), test::normal({5}, 3)});
}

TEST_CASE("layer_norm does not depend on the number of threads") {
  const auto f = [](const Tensor& x, const Tensor& w, const Tensor& b) { return layer_norm(x, w, b); };
  CHECK_THREADS(f, {test::normal({40, 37, 32}), test::normal({32}, 2), test::normal({32}, 3)});
}

TEST_CASE("layer_norm takes an empty batch and says what does not fit") {
  CHECK(layer_norm(Tensor::zeros({0, 2, 4})).shape() == Shape{0, 2, 4});
  CHECK_ERROR(layer_norm(Tensor::zeros({2, 3}), Tensor::zeros({4})),
              "layer_norm: weight is [4], expected [3], as the input is [2,3]");
  CHECK_ERROR(layer_norm(Tensor::zeros({3}), {}, {}, {.axes = 2}),
              "layer_norm: input is [3], expected at least 2 axes");
  CHECK_ERROR(layer_norm(Tensor::zeros({3}), {}, Tensor::zeros({3})), "layer_norm: there is a bias, but no weight");
  CHECK_ERROR(layer_norm(Tensor::zeros({3}), {}, {}, {.eps = 0}), "layer_norm: eps is 0, expected above 0");
}
