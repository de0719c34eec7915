#include "../../../core/ops/conv2d.h"

#include "../../../core/ops/arithmetic.h"
#include "../../support.h"
#include "rounding.h"

using namespace sinter;

namespace {

Pair pair(const test::GoldenCase& c, const std::string& name) {
  const auto sizes = c.attribute<std::vector<int64_t>>(name);
  return {sizes.at(0), sizes.at(1)};
}

auto conv(const ConvAttributes& attributes) {
  return [attributes](const std::vector<Tensor>& x) {
    return conv2d(x.at(0), x.at(1), x.size() > 2 ? x[2] : Tensor(), attributes);
  };
}

}  // namespace

TEST_CASE("conv2d computes what PyTorch's computes") {
  for (const auto& c : test::golden("conv"))
    CHECK_GOLDEN(c,
                 conv({.stride = pair(c, "stride"),
                       .padding = pair(c, "padding"),
                       .dilation = pair(c, "dilation"),
                       .groups = c.attribute<int64_t>("groups")}),
                 {.rtol = 1e-5, .atol = 1e-5});
}

TEST_CASE("conv2d's gradient is that of finite differences") {
  const ConvAttributes uneven{.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}};
  CHECK_GRADIENT(conv(uneven), {test::normal({2, 5, 6, 3}), test::normal({2, 3, 2, 3}, 2), test::normal({2}, 3)});
  CHECK_GRADIENT(conv({.padding = 1, .groups = 2}), {test::normal({1, 4, 4, 4}), test::normal({6, 3, 3, 2}, 2)});
  CHECK_GRADIENT(conv({.stride = 2, .groups = 3}),
                 {test::normal({1, 5, 5, 3}), test::normal({3, 3, 3, 1}, 2), test::normal({3}, 3)});
}

// oneDNN adds up a weight's gradient per thread: that one is the same but for rounding.
TEST_CASE("conv2d and its input's gradient do not depend on the number of threads") {
  struct Case {
    Shape weight;
    ConvAttributes attributes;
  };
  const Tensor x = test::normal({8, 14, 14, 16});
  for (const Case& c : {Case{{32, 3, 3, 16}, {.stride = 2, .padding = 1}}, Case{{24, 1, 1, 16}, {}},
                        Case{{16, 3, 3, 1}, {.padding = 1, .groups = 16}}}) {
    INFO(c.weight);
    const Tensor weight = test::normal(c.weight, 2), bias = test::normal({c.weight[0]}, 3);
    const auto f = conv(c.attributes);
    CHECK_THREADS([&](const Tensor& input) { return f({input, weight, bias}); }, {x});
    CHECK_ROUNDING(f, {x, weight, bias});
  }
}

TEST_CASE("a convolution sees that its weight was changed") {
  const NoGrad no_grad;
  const Tensor x = test::normal({1, 6, 6, 16});
  Tensor weight = test::normal({16, 3, 3, 16}, 2);
  const Tensor before = conv2d(x, weight);
  CHECK_SAME(conv2d(x, weight), before);
  float* w = weight.mutable_data<float>();
  for (int64_t i = 0; i < weight.elements(); ++i) w[i] *= 2;
  CHECK_SAME(conv2d(x, weight), before * 2.0);
}

TEST_CASE("conv2d of an empty batch is empty, and its weight's gradient zero") {
  Tensor x = Tensor::zeros({0, 4, 4, 2}), weight = test::normal({3, 3, 3, 2}), bias = test::normal({3});
  x.set_requires_grad(true);
  weight.set_requires_grad(true);
  bias.set_requires_grad(true);
  const Tensor y = conv2d(x, weight, bias, {.padding = 1});
  CHECK(y.shape() == Shape{0, 4, 4, 3});
  y.backward(Tensor::zeros(y.shape()));
  CHECK(x.grad().shape() == x.shape());
  CHECK_SAME(weight.grad(), Tensor::zeros(weight.shape()));
  CHECK_SAME(bias.grad(), Tensor::zeros(bias.shape()));
}

TEST_CASE("conv2d counts a multiplication for every weight and position") {
  const Specs x{{DType::float32, {2, 8, 6, 4}}, {DType::float32, {6, 3, 1, 2}}};
  const ops::Conv2d op{{.stride = 2, .padding = {1, 0}, .groups = 2}};
  CHECK(op.infer(x)[0].shape == Shape{2, 4, 3, 6});
  CHECK(op.macs(x) == 2 * 4 * 3 * 6 * 3 * 1 * 2);
}

TEST_CASE("conv2d says what does not fit") {
  const Tensor x = Tensor::zeros({1, 4, 4, 4}), w = Tensor::zeros({2, 3, 3, 4}), none;
  CHECK_ERROR(conv2d(Tensor::zeros({4, 4}), w), "conv2d: input is [4,4], expected [N,H,W,C]");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 4})), "conv2d: weight is [2,4], expected [O,KH,KW,I] (OHWI)");
  CHECK_ERROR(conv2d(x, w, none, {.stride = {1, 0}}), "conv2d: stride is 1x0, expected at least 1");
  CHECK_ERROR(conv2d(x, w, none, {.dilation = 0}), "conv2d: dilation is 0x0, expected at least 1");
  CHECK_ERROR(conv2d(x, w, none, {.padding = {-1, 0}}), "conv2d: padding is -1x0, expected at least 0");
  CHECK_ERROR(conv2d(x, w, none, {.groups = 0}), "conv2d: groups is 0, expected at least 1");
  CHECK_ERROR(conv2d(x, w, none, {.groups = 4}),
              "conv2d: 4 groups do not divide 4 input channels and 2 output channels");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 3, 3, 3})),
              "conv2d: weight is [2,3,3,3] (OHWI), input has 4 channels, expected 3");
  CHECK_ERROR(conv2d(x, w, none, {.groups = 2}),
              "conv2d: weight is [2,3,3,4] (OHWI), input has 4 channels, expected 8 (2 groups)");
  CHECK_ERROR(conv2d(x, Tensor::zeros({0, 3, 3, 4})), "conv2d: weight is [0,3,3,4], expected no empty axis");
  CHECK_ERROR(conv2d(x, w, Tensor::zeros({3})), "conv2d: bias is [3], expected [2]");
  CHECK_ERROR(conv2d(x, w, none, {.dilation = {1, 2}}),
              "conv2d: input [1,4,4,4] with padding 0x0 is smaller than the kernel 3x3 with dilation 1x2");
  CHECK_ERROR(conv2d(Tensor::zeros({1, 4, 4, 4}, DType::int8), w),
              "conv2d: input 0 is int8 [1,4,4,4], expected float32");
}
