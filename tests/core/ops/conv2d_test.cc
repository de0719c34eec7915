#include "../../../core/ops/conv2d.h"

#include <cmath>

#include "../../../core/onednn.h"
#include "../../support.h"

using namespace sinter;

namespace {

ConvAttributes attributes_of(const test::GoldenCase& c) {
  const auto pair = [&](const char* name) {
    const auto values = c.attribute<std::vector<int64_t>>(name);
    return Pair(values.at(0), values.at(1));
  };
  return {pair("stride"), pair("padding"), pair("dilation"), c.attribute<int64_t>("groups")};
}

auto with(const ConvAttributes& a) {
  return [a](const std::vector<Tensor>& x) { return conv2d(x[0], x[1], x.size() == 3 ? x[2] : Tensor(), a); };
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
  int cases = 0;
  for (const auto& c : test::golden("ops")) {
    if (!c.name.starts_with("conv ")) continue;
    ++cases;
    CHECK_GOLDEN(c, with(attributes_of(c)));
  }
  CHECK(cases == 6);
}

TEST_CASE("conv2d's gradients are those of finite differences") {
  CHECK_GRADIENT(with({.stride = 2, .padding = 1}),
                 {test::normal({2, 5, 4, 2}), test::normal({3, 3, 3, 2}, 2), test::normal({3}, 3)});
  CHECK_GRADIENT(with({.dilation = {1, 2}, .groups = 2}), {test::normal({1, 4, 5, 4}), test::normal({2, 2, 2, 2}, 2)});
}

TEST_CASE("conv2d of many channels, which another algorithm computes, is close to plain sums") {
  const Tensor x = test::normal({3, 9, 7, 32}), w = test::normal({48, 3, 3, 32}, 2);
  CHECK_CLOSE(conv2d(x, w, {}, {.padding = 1}), plain(x, w, 1), 1e-4, 1e-4);
  CHECK_GRADIENT(with({.padding = 1}), {test::normal({1, 5, 5, 32}), test::normal({32, 3, 3, 32}, 2, 0.1)},
                 {.step = 0.5, .max_elements = 12});
}

TEST_CASE("conv2d does not depend on the number of threads") {
  CHECK_THREADS(with({.padding = 1}), {test::normal({37, 12, 12, 16}), test::normal({16, 3, 3, 16}, 2)});
  CHECK_THREADS(with({.padding = 1}),
                {test::normal({37, 8, 8, 32}), test::normal({32, 3, 3, 32}, 2), test::normal({32}, 3)});
}

TEST_CASE("a weight that was written to is seen, and no primitive is made twice") {
  const Tensor x = test::normal({2, 4, 4, 3});
  Tensor w = test::normal({2, 3, 3, 3}, 2);
  const Tensor before = conv2d(x, w);
  const int64_t made = onednn::primitives_created();
  w.mutable_data<float>()[5] += 1;
  const Tensor after = conv2d(x, w);
  CHECK(onednn::primitives_created() == made);
  CHECK_CLOSE(after, plain(x, w, 0), 1e-5, 1e-5);
  CHECK(!test::difference(after, before, 0, 0).empty());
}

TEST_CASE("conv2d of an empty batch is empty, and its gradients are zero") {
  Tensor x = Tensor::zeros({0, 4, 4, 2}), w = test::normal({3, 3, 3, 2});
  w.set_requires_grad(true);
  const Tensor y = conv2d(x, w);
  CHECK(y.shape() == Shape{0, 2, 2, 3});
  y.backward(Tensor::zeros(y.shape()));
  CHECK_SAME(w.grad(), Tensor::zeros(w.shape()));
}

TEST_CASE("conv2d says what does not fit") {
  const Tensor x = Tensor::zeros({1, 5, 5, 3});
  CHECK_ERROR(conv2d(x, Tensor::zeros({16, 3, 3, 8})),
              "conv2d: weight is [16,3,3,8] (OHWI), input has 3 channels, expected 8");
  CHECK_ERROR(conv2d(Tensor::zeros({5, 5, 3}), Tensor::zeros({1, 1, 1, 3})),
              "conv2d: input is [5,5,3], expected [N,H,W,C]");
  CHECK_ERROR(conv2d(x, Tensor::zeros({1, 3, 3})), "conv2d: weight is [1,3,3], expected [O,KH,KW,I] (OHWI)");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 3, 3, 3}), Tensor::zeros({3})), "conv2d: bias is [3], expected [2]");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 7, 7, 3})), "is smaller than the kernel 7x7");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 3, 3, 3}), {}, {.stride = 0}), "conv2d: stride is 0x0, expected at least 1");
  CHECK_ERROR(conv2d(x, Tensor::zeros({2, 3, 3, 1}), {}, {.groups = 2}), "conv2d: 2 groups do not divide 3 input");
  CHECK_ERROR(conv2d(x.to(DType::int8), Tensor::zeros({2, 3, 3, 3})), "conv2d: ");
}
