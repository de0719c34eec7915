#include "../../../core/ops/conv2d.h"

#include "../../../core/ops/arithmetic.h"
#include "../../support.h"

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

// Sums of products in double, term by term.
Tensor plain(const Tensor& x, const Tensor& w, int64_t padding) {
  const int64_t height = x.size(1), width = x.size(2), in = x.size(3), out = w.size(0), kernel = w.size(1);
  Tensor y = Tensor::empty({x.size(0), height + 2 * padding - kernel + 1, width + 2 * padding - kernel + 1, out});
  float* to = y.mutable_data<float>();
  for (int64_t n = 0; n < y.size(0); ++n)
    for (int64_t oy = 0; oy < y.size(1); ++oy)
      for (int64_t ox = 0; ox < y.size(2); ++ox)
        for (int64_t o = 0; o < out; ++o) {
          double sum = 0;
          for (int64_t ky = 0; ky < kernel; ++ky)
            for (int64_t kx = 0; kx < kernel; ++kx) {
              const int64_t iy = oy + ky - padding, ix = ox + kx - padding;
              if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
              for (int64_t i = 0; i < in; ++i)
                sum += static_cast<double>(x.at({n, iy, ix, i})) * static_cast<double>(w.at({o, ky, kx, i}));
            }
          *to++ = static_cast<float>(sum);
        }
  return y;
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

TEST_CASE("conv2d of many channels, which another algorithm computes, is close to plain sums") {
  const Tensor x = test::normal({3, 9, 7, 32}), w = test::normal({48, 3, 3, 32}, 2);
  CHECK_CLOSE(conv2d(x, w, {}, {.padding = 1}), plain(x, w, 1), 1e-4, 1e-4);
  CHECK_GRADIENT(conv({.padding = 1}), {test::normal({1, 5, 5, 32}), test::normal({32, 3, 3, 32}, 2, 0.1)},
                 {.step = 0.5, .max_elements = 12});
}

TEST_CASE("conv2d does not depend on the number of threads") {
  const Tensor x = test::normal({8, 14, 14, 16});
  CHECK_THREADS(conv({.stride = 2, .padding = 1}), {x, test::normal({32, 3, 3, 16}, 2), test::normal({32}, 3)});
  CHECK_THREADS(conv({}), {x, test::normal({24, 1, 1, 16}, 2)});
  CHECK_THREADS(conv({.padding = 1, .groups = 16}), {x, test::normal({16, 3, 3, 1}, 2)});
  CHECK_THREADS(conv({.padding = 1}), {test::normal({37, 12, 12, 16}), test::normal({16, 3, 3, 16}, 2)});
  CHECK_THREADS(conv({.padding = 1}),
                {test::normal({37, 8, 8, 32}), test::normal({32, 3, 3, 32}, 2), test::normal({32}, 3)});
  // One image, which all threads share.
  CHECK_THREADS(conv({.padding = 1}), {test::normal({1, 40, 40, 32}), test::normal({48, 3, 3, 32}, 2)});
  CHECK_THREADS(conv({.padding = 1}), {test::normal({1, 40, 40, 8}), test::normal({24, 3, 3, 8}, 2)});
  CHECK_THREADS(conv({}), {test::normal({1, 40, 40, 32}), test::normal({24, 1, 1, 32}, 2)});
  CHECK_THREADS(conv({.padding = 1, .groups = 48}), {test::normal({1, 40, 40, 48}), test::normal({48, 3, 3, 1}, 2)});
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
              "conv2d: weight is [2,3,3,3] (OHWI), input [1,4,4,4] (NHWC) has 4 channels, expected 3");
  CHECK_ERROR(conv2d(x, w, none, {.groups = 2}),
              "conv2d: weight is [2,3,3,4] (OHWI), input [1,4,4,4] (NHWC) has 4 channels, expected 8 (2 groups)");
  CHECK_ERROR(
      conv2d(Tensor::zeros({8, 3, 32, 32}), Tensor::zeros({16, 3, 3, 3})),
      "input [8,3,32,32] (NHWC) has 32 channels, expected 3; is the input [N,C,H,W]? Images are [N,H,W,C] here");
  CHECK_ERROR(conv2d(Tensor::zeros({8, 32, 32, 6}), Tensor::zeros({16, 6, 3, 3})),
              "has 6 channels, expected 3; is the weight [O,I,KH,KW]? It is [O,KH,KW,I] here");
  CHECK_ERROR(conv2d(Tensor::zeros({8, 6, 32, 32}), Tensor::zeros({16, 6, 3, 3})),
              "are input and weight [N,C,H,W] and [O,I,KH,KW]?");
  CHECK_ERROR(conv2d(Tensor::zeros({8, 6, 7, 7}), Tensor::zeros({16, 3, 3, 3}), none, {.groups = 2}),
              "2 groups do not divide 7 input channels and 16 output channels; is the input [N,C,H,W]?");
  CHECK_ERROR(conv2d(x, Tensor::zeros({0, 3, 3, 4})), "conv2d: weight is [0,3,3,4], expected no empty axis");
  CHECK_ERROR(conv2d(x, w, Tensor::zeros({3})), "conv2d: bias is [3], expected [2]");
  CHECK_ERROR(conv2d(x, w, none, {.dilation = {1, 2}}),
              "conv2d: input [1,4,4,4] with padding 0x0 is smaller than the kernel 3x3 with dilation 1x2");
  CHECK_ERROR(conv2d(Tensor::zeros({1, 4, 4, 4}, DType::int8), w),
              "conv2d: input 0 is int8 [1,4,4,4], expected float32");
}
