#include "../../../core/ops/avg_pool2d.h"

#include "../../support.h"

using namespace sinter;

namespace {

Pair pair(const test::GoldenCase& c, const std::string& name) {
  const auto sizes = c.attribute<std::vector<int64_t>>(name);
  return {sizes.at(0), sizes.at(1)};
}

auto pool(const AvgPoolAttributes& attributes) {
  return [attributes](const Tensor& x) { return avg_pool2d(x, attributes); };
}

}  // namespace

TEST_CASE("avg_pool2d computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("pool")) {
    if (!c.name.starts_with("avg")) continue;
    ++cases;
    CHECK_GOLDEN(c, pool({.kernel = pair(c, "kernel"),
                          .stride = pair(c, "stride"),
                          .padding = pair(c, "padding"),
                          .ceil_mode = c.attribute<bool>("ceil_mode"),
                          .count_include_pad = c.attribute<bool>("count_include_pad")}));
  }
  CHECK(cases > 0);
}

TEST_CASE("avg_pool2d's gradient is that of finite differences") {
  CHECK_GRADIENT(pool({.kernel = 3, .stride = 2, .padding = 1}), {test::normal({2, 5, 6, 3})});
  CHECK_GRADIENT(pool({.kernel = {2, 3}, .stride = 3, .padding = 1, .ceil_mode = true, .count_include_pad = false}),
                 {test::normal({1, 5, 6, 2})});
}

TEST_CASE("an average's window moves by its own size unless told") {
  const Tensor x = test::normal({1, 6, 9, 2});
  CHECK_SAME(avg_pool2d(x, {.kernel = {2, 3}}), avg_pool2d(x, {.kernel = {2, 3}, .stride = {2, 3}}));
}

TEST_CASE("avg_pool2d does not depend on the number of threads") {
  CHECK_THREADS(pool({.kernel = 3, .stride = 2, .padding = 1}), {test::normal({3, 32, 32, 16})});
}

TEST_CASE("avg_pool2d of an empty batch is empty") {
  Tensor x = Tensor::zeros({0, 4, 4, 2});
  x.set_requires_grad(true);
  const Tensor y = avg_pool2d(x, {.kernel = 2});
  CHECK(y.shape() == Shape{0, 2, 2, 2});
  y.backward(Tensor::zeros({0, 2, 2, 2}));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("avg_pool2d says what does not fit") {
  const Tensor x = Tensor::zeros({1, 4, 4, 2});
  CHECK_ERROR(avg_pool2d(x, {.kernel = 0}), "avg_pool2d: kernel is 0x0, expected at least 1");
  CHECK_ERROR(avg_pool2d(x, {.kernel = 2, .stride = -1}), "avg_pool2d: stride is -1x-1, expected at least 1");
  CHECK_ERROR(avg_pool2d(x, {.kernel = 2, .padding = {2, 0}}),
              "avg_pool2d: padding is 2x0, expected at most half of the kernel 2x2");
  CHECK_ERROR(avg_pool2d(x, {.kernel = {1, 5}}),
              "avg_pool2d: input [1,4,4,2] with padding 0x0 is smaller than the kernel 1x5 with dilation 1x1");
  CHECK_ERROR(avg_pool2d(Tensor::zeros({4}), {.kernel = 2}), "avg_pool2d: input is [4], expected [N,H,W,C]");
  CHECK_ERROR(avg_pool2d(Tensor::zeros({1, 4, 4, 2}, DType::int32), {.kernel = 2}),
              "avg_pool2d: input 0 is int32 [1,4,4,2], expected float32");
}
