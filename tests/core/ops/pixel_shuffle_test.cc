#include "../../../core/ops/pixel_shuffle.h"

#include "../../support.h"

using namespace sinter;

namespace {
auto by(int64_t upscale) {
  return [upscale](const Tensor& x) { return pixel_shuffle(x, {.upscale = upscale}); };
}
}  // namespace

TEST_CASE("pixel_shuffle computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("pixel_shuffle")) continue;
    ++cases;
    CHECK_GOLDEN(c, by(c.attribute<int64_t>("upscale")));
  }
  CHECK(cases == 3);
}

TEST_CASE("pixel_shuffle's gradient is that of finite differences") {
  CHECK_GRADIENT(by(2), {test::normal({2, 2, 1, 8})});
}

TEST_CASE("pixel_shuffle does not depend on the number of threads") {
  CHECK_THREADS(by(2), {test::normal({3, 20, 21, 64})});
}

TEST_CASE("pixel_shuffle of an empty batch is empty") {
  Tensor x = Tensor::zeros({0, 2, 3, 4});
  x.set_requires_grad(true);
  const Tensor y = pixel_shuffle(x, {.upscale = 2});
  CHECK(y.shape() == Shape{0, 4, 6, 1});
  y.backward(Tensor::zeros(y.shape()));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("pixel_shuffle says what does not fit") {
  CHECK_ERROR(by(0)(Tensor::zeros({1, 1, 1, 4})), "pixel_shuffle: upscale is 0, expected 1 to 32768");
  CHECK_ERROR(by(1 << 20)(Tensor::zeros({1, 1, 1, 4})), "pixel_shuffle: upscale is 1048576, expected 1 to 32768");
  CHECK_ERROR(by(2)(Tensor::zeros({1, 2, 2, 6})),
              "pixel_shuffle: input is [1,2,2,6], expected a multiple of 4 channels");
  CHECK_ERROR(by(2)(Tensor::zeros({4})), "pixel_shuffle: input is [4], expected [N,H,W,C]");
  CHECK_ERROR(by(2)(Tensor::zeros({1, 1, 1, 4}, DType::int8)),
              "pixel_shuffle: input 0 is int8 [1,1,1,4], expected float32");
}
