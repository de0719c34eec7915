#include "../../../core/ops/conv_transpose2d.h"

#include <algorithm>

#include "../../../core/ops/conv2d.h"
#include "../../support.h"

using namespace sinter;

namespace {

Pair pair(const test::GoldenCase& c, const std::string& name) {
  const auto sizes = c.attribute<std::vector<int64_t>>(name);
  return {sizes.at(0), sizes.at(1)};
}

auto conv(const ConvTransposeAttributes& attributes) {
  return [attributes](const std::vector<Tensor>& x) {
    return conv_transpose2d(x.at(0), x.at(1), x.size() > 2 ? x[2] : Tensor(), attributes);
  };
}

// Every input value times the kernel, added up in double.
Tensor plain(const Tensor& x, const Tensor& w, int64_t stride) {
  const int64_t kernel = w.size(1);
  const Shape shape{x.size(0), (x.size(1) - 1) * stride + kernel, (x.size(2) - 1) * stride + kernel, w.size(0)};
  std::vector<double> sums(static_cast<size_t>(shape.elements()));
  for (int64_t n = 0; n < x.size(0); ++n)
    for (int64_t h = 0; h < x.size(1); ++h)
      for (int64_t v = 0; v < x.size(2); ++v)
        for (int64_t i = 0; i < x.size(3); ++i)
          for (int64_t ky = 0; ky < kernel; ++ky)
            for (int64_t kx = 0; kx < kernel; ++kx)
              for (int64_t o = 0; o < shape[3]; ++o) {
                const int64_t row = (n * shape[1] + h * stride + ky) * shape[2] + v * stride + kx;
                sums[static_cast<size_t>(row * shape[3] + o)] +=
                    static_cast<double>(x.at({n, h, v, i})) * static_cast<double>(w.at({o, ky, kx, i}));
              }
  const std::vector<float> values(sums.begin(), sums.end());
  return Tensor::from(shape, values);
}

}  // namespace

TEST_CASE("conv_transpose2d computes what PyTorch's computes") {
  for (const auto& c : test::golden("conv_transpose"))
    CHECK_GOLDEN(c,
                 conv({.stride = pair(c, "stride"),
                       .padding = pair(c, "padding"),
                       .output_padding = pair(c, "output_padding"),
                       .dilation = pair(c, "dilation"),
                       .groups = c.attribute<int64_t>("groups")}),
                 {.rtol = 1e-5, .atol = 1e-5});
}

TEST_CASE("conv_transpose2d's gradient is that of finite differences") {
  const ConvTransposeAttributes uneven{.stride = {2, 1}, .padding = {1, 2}, .output_padding = {1, 0}, .dilation = 2};
  CHECK_GRADIENT(conv(uneven), {test::normal({2, 3, 4, 3}), test::normal({2, 3, 2, 3}, 2), test::normal({2}, 3)});
  CHECK_GRADIENT(conv({.padding = 1, .groups = 2}), {test::normal({1, 4, 4, 4}), test::normal({6, 3, 3, 2}, 2)});
  CHECK_GRADIENT(conv({.stride = 2, .groups = 3}),
                 {test::normal({1, 3, 3, 3}), test::normal({3, 3, 3, 1}, 2), test::normal({3}, 3)});
}

TEST_CASE("conv_transpose2d of many channels is close to plain sums") {
  const Tensor x = test::normal({3, 5, 4, 48}), w = test::normal({32, 2, 2, 48}, 2);
  CHECK_CLOSE(conv_transpose2d(x, w, {}, {.stride = 2}), plain(x, w, 2), 1e-4, 1e-4);
  const Tensor square = test::normal({32, 3, 3, 48}, 3);
  CHECK_CLOSE(conv_transpose2d(x, square), plain(x, square, 1), 1e-4, 1e-4);
}

// <conv(u), x> = <u, conv_transpose(x)>, where the weight's first axis is the output channel of either.
TEST_CASE("conv_transpose2d is the convolution's adjoint") {
  const Tensor u = test::normal({2, 8, 8, 6}), x = test::normal({2, 4, 4, 4}, 2), w = test::normal({4, 3, 3, 6}, 3);
  Tensor swapped = Tensor::empty({6, 3, 3, 4});
  for (int64_t o = 0; o < 6; ++o)
    for (int64_t k = 0; k < 9; ++k)
      for (int64_t i = 0; i < 4; ++i)
        swapped.mutable_data<float>()[(o * 9 + k) * 4 + i] = w.data<float>()[(i * 9 + k) * 6 + o];
  const Tensor y = conv2d(u, w, {}, {.stride = 2, .padding = 1});
  const Tensor back = conv_transpose2d(x, swapped, {}, {.stride = 2, .padding = 1, .output_padding = 1});
  REQUIRE(y.shape() == x.shape());
  REQUIRE(back.shape() == u.shape());
  const auto dot = [](const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < a.elements(); ++i) sum += static_cast<double>(a.data<float>()[i]) * b.data<float>()[i];
    return sum;
  };
  CHECK(dot(y, x) == doctest::Approx(dot(u, back)).epsilon(1e-4));
}

TEST_CASE("conv_transpose2d does not depend on the number of threads") {
  const Tensor x = test::normal({9, 7, 7, 16});
  CHECK_THREADS(conv({.stride = 2, .padding = 1, .output_padding = 1}),
                {x, test::normal({32, 3, 3, 16}, 2), test::normal({32}, 3)});
  CHECK_THREADS(conv({.stride = 2, .groups = 16}), {x, test::normal({16, 2, 2, 1}, 2)});
  // One image, which all threads share.
  CHECK_THREADS(conv({.stride = 2}), {test::normal({1, 40, 40, 32}), test::normal({24, 2, 2, 32}, 2)});
  CHECK_THREADS(conv({.padding = 1}), {test::normal({1, 40, 40, 32}), test::normal({48, 3, 3, 32}, 2)});
}

TEST_CASE("a transposed convolution sees that its weight was changed") {
  const NoGrad no_grad;
  const Tensor x = test::normal({1, 6, 6, 16});
  Tensor weight = test::normal({32, 3, 3, 16}, 2);
  const Tensor before = conv_transpose2d(x, weight);
  CHECK_SAME(conv_transpose2d(x, weight), before);
  float* w = weight.mutable_data<float>();
  std::fill(w, w + weight.elements(), 0.0f);
  CHECK_SAME(conv_transpose2d(x, weight), Tensor::zeros(before.shape()));
}

TEST_CASE("conv_transpose2d of an empty batch is empty, and its weight's gradient zero") {
  Tensor x = Tensor::zeros({0, 4, 4, 2}), weight = test::normal({3, 3, 3, 2}), bias = test::normal({3});
  x.set_requires_grad(true);
  weight.set_requires_grad(true);
  bias.set_requires_grad(true);
  const Tensor y = conv_transpose2d(x, weight, bias, {.stride = 2});
  CHECK(y.shape() == Shape{0, 9, 9, 3});
  y.backward(Tensor::zeros(y.shape()));
  CHECK(x.grad().shape() == x.shape());
  CHECK_SAME(weight.grad(), Tensor::zeros(weight.shape()));
  CHECK_SAME(bias.grad(), Tensor::zeros(bias.shape()));
}

TEST_CASE("conv_transpose2d counts a multiplication for every weight and input position") {
  const Specs x{{DType::float32, {2, 4, 3, 4}}, {DType::float32, {6, 3, 1, 2}}};
  const ops::ConvTranspose2d op{{.stride = 2, .padding = {1, 0}, .groups = 2}};
  CHECK(op.infer(x)[0].shape == Shape{2, 7, 5, 6});
  CHECK(op.macs(x) == 2 * 4 * 3 * 6 * 3 * 1 * 2);
}

TEST_CASE("conv_transpose2d says what does not fit") {
  const Tensor x = Tensor::zeros({1, 4, 4, 4}), w = Tensor::zeros({2, 3, 3, 4}), none;
  CHECK_ERROR(conv_transpose2d(Tensor::zeros({4, 4}), w), "conv_transpose2d: input is [4,4], expected [N,H,W,C]");
  CHECK_ERROR(conv_transpose2d(x, Tensor::zeros({2, 4})),
              "conv_transpose2d: weight is [2,4], expected [O,KH,KW,I] (OHWI)");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.stride = {1, 0}}), "conv_transpose2d: stride is 1x0, expected at least 1");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.dilation = 0}), "conv_transpose2d: dilation is 0x0, expected at least 1");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.padding = {-1, 0}}),
              "conv_transpose2d: padding is -1x0, expected at least 0");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.stride = {2, 1}, .output_padding = 1}),
              "conv_transpose2d: output_padding is 1x1, expected 0 or more and less than the stride 2x1");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.output_padding = {-1, 0}}),
              "conv_transpose2d: output_padding is -1x0, expected 0 or more and less than the stride 1x1");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.groups = 0}), "conv_transpose2d: groups is 0, expected at least 1");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.groups = 4}),
              "conv_transpose2d: 4 groups do not divide 4 input channels and 2 output channels");
  CHECK_ERROR(conv_transpose2d(x, Tensor::zeros({4, 3, 3, 2})),
              "conv_transpose2d: weight is [4,3,3,2] (OHWI), input [1,4,4,4] (NHWC) has 4 channels, expected 2");
  CHECK_ERROR(
      conv_transpose2d(x, w, none, {.groups = 2}),
      "conv_transpose2d: weight is [2,3,3,4] (OHWI), input [1,4,4,4] (NHWC) has 4 channels, expected 8 (2 groups)");
  CHECK_ERROR(conv_transpose2d(x, Tensor::zeros({0, 3, 3, 4})),
              "conv_transpose2d: weight is [0,3,3,4], expected no empty axis");
  CHECK_ERROR(conv_transpose2d(Tensor::zeros({1, 0, 4, 4}), w),
              "conv_transpose2d: input is [1,0,4,4], expected at least one pixel");
  CHECK_ERROR(conv_transpose2d(x, w, Tensor::zeros({4})), "conv_transpose2d: bias is [4], expected [2]");
  CHECK_ERROR(conv_transpose2d(x, w, none, {.padding = {0, 3}}),
              "conv_transpose2d: of input [1,4,4,4] with the kernel 3x3, padding 0x3 leaves nothing");
  CHECK_ERROR(conv_transpose2d(Tensor::zeros({1, 4, 4, 4}, DType::int8), w),
              "conv_transpose2d: input 0 is int8 [1,4,4,4], expected float32");
}
