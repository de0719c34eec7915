#include "../../../core/ops/linear.h"

#include "../../support.h"
#include "rounding.h"

using namespace sinter;

namespace {
const auto layer = [](const std::vector<Tensor>& x) {
  return linear(x.at(0), x.at(1), x.size() > 2 ? x[2] : Tensor());
};
}

TEST_CASE("linear computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("linear")) {
    if (!c.name.starts_with("linear")) continue;
    ++cases;
    CHECK_GOLDEN(c, layer, {.rtol = 1e-5, .atol = 1e-5});
  }
  CHECK(cases > 0);
}

TEST_CASE("linear's gradient is that of finite differences") {
  CHECK_GRADIENT(layer, {test::normal({3, 5}), test::normal({4, 5}, 2), test::normal({4}, 3)});
  CHECK_GRADIENT(layer, {test::normal({2, 2, 3}), test::normal({2, 3}, 2)});
}

// Without AVX-512, oneDNN cuts long sums by the number of threads.
TEST_CASE("linear depends on the number of threads by rounding at most") {
  CHECK_ROUNDING(layer, {test::normal({64, 200}), test::normal({100, 200}, 2), test::normal({100}, 3)});
  CHECK_ROUNDING(layer, {test::normal({1000, 16}), test::normal({10, 16}, 2), test::normal({10}, 3)});
}

TEST_CASE("linear of an empty batch is empty, and its weight's gradient zero") {
  Tensor x = Tensor::zeros({0, 3}), weight = test::normal({2, 3}), bias = test::normal({2});
  x.set_requires_grad(true);
  weight.set_requires_grad(true);
  bias.set_requires_grad(true);
  const Tensor y = linear(x, weight, bias);
  CHECK(y.shape() == Shape{0, 2});
  y.backward(Tensor::zeros({0, 2}));
  CHECK(x.grad().shape() == x.shape());
  CHECK_SAME(weight.grad(), Tensor::zeros({2, 3}));
  CHECK_SAME(bias.grad(), Tensor::zeros({2}));
}

TEST_CASE("linear of no features is its bias") {
  CHECK_SAME(linear(Tensor::zeros({2, 0}), Tensor::zeros({3, 0}), Tensor::from({3}, {1, 2, 3})),
             Tensor::from({2, 3}, {1, 2, 3, 1, 2, 3}));
  CHECK_SAME(linear(Tensor::zeros({2, 0}), Tensor::zeros({3, 0})), Tensor::zeros({2, 3}));
}

TEST_CASE("linear counts a multiplication for every weight and row") {
  const Specs x{{DType::float32, {2, 5, 3}}, {DType::float32, {4, 3}}};
  CHECK(ops::Linear().macs(x) == 2 * 5 * 3 * 4);
}

TEST_CASE("linear says what does not fit") {
  const Tensor w = Tensor::zeros({2, 3});
  CHECK_ERROR(linear(Tensor::zeros({4, 3}), Tensor::zeros({3})), "linear: weight is [3], expected [O,I]");
  CHECK_ERROR(linear(Tensor::zeros({4, 2}), w),
              "linear: input is [4,2], expected 3 values on the last axis, as weight is [2,3] ([O,I])");
  CHECK_ERROR(linear(Tensor::zeros({}), w), "linear: input is [], expected 3 values on the last axis");
  CHECK_ERROR(linear(Tensor::zeros({4, 3}), w, Tensor::zeros({3})), "linear: bias is [3], expected [2]");
  CHECK_ERROR(linear(Tensor::zeros({4, 3}, DType::int32), w), "linear: input 0 is int32 [4,3], expected float32");
}
