#include "../../../core/ops/matmul.h"

#include "../../support.h"
#include "rounding.h"

using namespace sinter;

namespace {
Tensor product(const Tensor& a, const Tensor& b) { return matmul(a, b); }
}  // namespace

TEST_CASE("matmul computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("linear")) {
    if (!c.name.starts_with("matmul")) continue;
    ++cases;
    CHECK_GOLDEN(c, product, {.rtol = 1e-5, .atol = 1e-5});
  }
  CHECK(cases > 0);
}

TEST_CASE("matmul's gradient is that of finite differences") {
  CHECK_GRADIENT(product, {test::normal({3, 5}), test::normal({5, 4}, 2)});
  CHECK_GRADIENT(product, {test::normal({2, 3, 4}), test::normal({4, 2}, 2)});
  CHECK_GRADIENT(product, {test::normal({2, 3, 4}), test::normal({2, 4, 2}, 2)});
}

// Without AVX-512, oneDNN cuts long sums by the number of threads.
TEST_CASE("matmul depends on the number of threads by rounding at most") {
  CHECK_ROUNDING(product, {test::normal({100, 150}), test::normal({150, 70}, 2)});
  CHECK_ROUNDING(product, {test::normal({4, 30, 1000}), test::normal({4, 1000, 5}, 2)});
}

TEST_CASE("products of nothing are empty or zero") {
  CHECK(matmul(Tensor::zeros({0, 3}), Tensor::zeros({3, 2})).shape() == Shape{0, 2});
  CHECK(matmul(Tensor::zeros({0, 2, 3}), Tensor::zeros({0, 3, 2})).shape() == Shape{0, 2, 2});
  CHECK_SAME(matmul(Tensor::zeros({2, 0}), Tensor::zeros({0, 3})), Tensor::zeros({2, 3}));
}

TEST_CASE("matmul says what does not fit") {
  const auto fails = [](const Shape& a, const Shape& b) {
    CHECK_ERROR(matmul(Tensor::zeros(a), Tensor::zeros(b)),
                text("matmul: inputs are ", a, " and ", b, ", expected [...,M,K] and [K,N] or [...,K,N]"));
  };
  fails({2, 3}, {2, 3});
  fails({3}, {3, 2});
  fails({2, 3}, {3});
  fails({2, 2, 3}, {3, 3, 2});
  CHECK_ERROR(matmul(Tensor::zeros({2, 2}), Tensor::zeros({2, 2}, DType::uint8)),
              "matmul: input 1 is uint8 [2,2], expected float32");
}

TEST_CASE("matmul of transposed operands computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("linear")) {
    if (!c.name.starts_with("transposed matmul")) continue;
    ++cases;
    const MatmulAttributes attributes{c.attribute<bool>("transpose_a"), c.attribute<bool>("transpose_b")};
    const auto f = [&](const Tensor& a, const Tensor& b) { return matmul(a, b, attributes); };
    CHECK_GOLDEN(c, f, {.rtol = 1e-5, .atol = 1e-5});
  }
  CHECK(cases == 3);
  CHECK_ERROR(matmul(Tensor::zeros({2, 3}), Tensor::zeros({3, 4}), {.transpose_b = true}),
              "matmul: inputs are [2,3] and [3,4], expected [...,M,K] and [N,K] or [...,N,K]");
}

TEST_CASE("an operand that is shared by no products has a gradient of zeros") {
  Tensor w = test::normal({3, 2}).set_requires_grad(true);
  matmul(Tensor::zeros({0, 4, 3}), w, {.transpose_a = false}).backward(Tensor::zeros({0, 4, 2}));
  CHECK_SAME(w.grad(), Tensor::zeros({3, 2}));
}
