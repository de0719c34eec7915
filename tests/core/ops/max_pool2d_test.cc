#include "../../../core/ops/max_pool2d.h"

#include "../../../core/ops/reduce.h"
#include "../../../core/ops/reshape.h"
#include "../../support.h"

using namespace sinter;

namespace {

Pair pair(const test::GoldenCase& c, const std::string& name) {
  const auto sizes = c.attribute<std::vector<int64_t>>(name);
  return {sizes.at(0), sizes.at(1)};
}

auto pool(const MaxPoolAttributes& attributes) {
  return [attributes](const Tensor& x) { return max_pool2d(x, attributes); };
}

}  // namespace

TEST_CASE("max_pool2d computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("pool")) {
    if (!c.name.starts_with("max")) continue;
    ++cases;
    const auto f = pool({.kernel = pair(c, "kernel"),
                         .stride = pair(c, "stride"),
                         .padding = pair(c, "padding"),
                         .dilation = pair(c, "dilation"),
                         .ceil_mode = c.attribute<bool>("ceil_mode")});
    CHECK_GOLDEN(c, f);
    const NoGrad no_grad;  // another loop
    CHECK_CLOSE(f(c.input("x")), c.output("y"), 0, 0);
  }
  CHECK(cases > 0);
}

TEST_CASE("max_pool2d's gradient is that of finite differences") {
  CHECK_GRADIENT(pool({.kernel = 3, .stride = 2, .padding = 1}), {test::distinct({2, 5, 6, 3})});
  CHECK_GRADIENT(pool({.kernel = {2, 3}, .stride = 1, .padding = {1, 0}, .dilation = {3, 1}, .ceil_mode = true}),
                 {test::distinct({1, 5, 6, 2})});
}

TEST_CASE("a window moves by its own size unless told") {
  const Tensor x = test::normal({1, 6, 9, 2});
  CHECK_SAME(max_pool2d(x, {.kernel = {2, 3}}), max_pool2d(x, {.kernel = {2, 3}, .stride = {2, 3}}));
  CHECK(ops::MaxPool2d({.kernel = {2, 3}}).attributes.stride == Pair{2, 3});
}

TEST_CASE("max_pool2d needs neither its input nor its output for backward") {
  Tensor x = Tensor::from({1, 1, 4, 1}, {1, 3, 4, 2});
  x.set_requires_grad(true);
  Tensor y = max_pool2d(x, {.kernel = {1, 2}});
  x.mutable_data<float>()[0] = 9;
  y.mutable_data<float>()[0] = 9;
  y.backward(Tensor::from({1, 1, 2, 1}, {10, 20}));
  CHECK_SAME(x.grad(), Tensor::from({1, 1, 4, 1}, {0, 10, 20, 0}));
}

TEST_CASE("a window may have more values than a byte counts") {
  Tensor x = Tensor::arange(17 * 17);
  x.set_requires_grad(true);
  const Tensor y = max_pool2d(reshape(x, {1, 17, 17, 1}), {.kernel = 17});
  CHECK(y.item() == 288);
  y.backward();
  CHECK(x.grad().at({288}) == 1);
  CHECK(sum(x.grad()).item() == 1);
}

TEST_CASE("max_pool2d does not depend on the number of threads") {
  CHECK_THREADS(pool({.kernel = 3, .stride = 2, .padding = 1}), {test::normal({3, 32, 32, 16})});
}

TEST_CASE("max_pool2d of an empty batch is empty") {
  Tensor x = Tensor::zeros({0, 4, 4, 2});
  x.set_requires_grad(true);
  const Tensor y = max_pool2d(x, {.kernel = 2});
  CHECK(y.shape() == Shape{0, 2, 2, 2});
  y.backward(Tensor::zeros({0, 2, 2, 2}));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("max_pool2d says what does not fit") {
  const Tensor x = Tensor::zeros({1, 4, 4, 2});
  CHECK_ERROR(max_pool2d(x, {.kernel = {2, 0}}), "max_pool2d: kernel is 2x0, expected at least 1");
  CHECK_ERROR(max_pool2d(x, {.kernel = 2, .stride = {0, 1}}), "max_pool2d: stride is 0x1, expected at least 1");
  CHECK_ERROR(max_pool2d(x, {.kernel = 2, .padding = -1}), "max_pool2d: padding is -1x-1, expected at least 0");
  CHECK_ERROR(max_pool2d(x, {.kernel = 2, .dilation = 0}), "max_pool2d: dilation is 0x0, expected at least 1");
  CHECK_ERROR(max_pool2d(x, {.kernel = 3, .padding = {1, 2}}),
              "max_pool2d: padding is 1x2, expected at most half of the kernel 3x3");
  CHECK_ERROR(max_pool2d(x, {.kernel = 5}),
              "max_pool2d: input [1,4,4,2] with padding 0x0 is smaller than the kernel 5x5 with dilation 1x1");
  CHECK_ERROR(max_pool2d(Tensor::zeros({1, 2, 2, 1}), {.kernel = 2, .padding = 1, .dilation = 3}),
              "max_pool2d: input [1,2,2,1] has windows of nothing but padding: kernel 2x2, dilation 3x3, padding 1x1");
  CHECK_ERROR(max_pool2d(Tensor::zeros({4, 4}), {.kernel = 2}), "max_pool2d: input is [4,4], expected [N,H,W,C]");
  CHECK_ERROR(max_pool2d(Tensor::zeros({1, 4, 4, 2}, DType::int8), {.kernel = 2}),
              "max_pool2d: input 0 is int8 [1,4,4,2], expected float32");
}
