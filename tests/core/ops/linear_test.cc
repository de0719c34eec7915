#include "../../../core/ops/linear.h"

#include "../../../core/ops/matmul.h"
#include "../../support.h"

using namespace sinter;

namespace {
const auto apply = [](const std::vector<Tensor>& x) { return linear(x[0], x[1], x.size() == 3 ? x[2] : Tensor()); };
const auto product = [](const Tensor& a, const Tensor& b) { return matmul(a, b); };
}  // namespace

TEST_CASE("linear and matmul compute what PyTorch's compute") {
  int cases = 0;
  for (const auto& c : test::golden("ops")) {
    if (c.name.starts_with("linear")) CHECK_GOLDEN(c, apply);
    if (c.name.starts_with("matmul")) CHECK_GOLDEN(c, product);
    cases += c.name.starts_with("linear") || c.name.starts_with("matmul");
  }
  CHECK(cases == 5);
}

TEST_CASE("their gradients are those of finite differences") {
  CHECK_GRADIENT(apply, {test::normal({3, 4}), test::normal({2, 4}, 2), test::normal({2}, 3)});
  CHECK_GRADIENT(product, {test::normal({2, 3, 4}), test::normal({4, 2}, 2)});
  CHECK_GRADIENT(product, {test::normal({2, 3, 4}), test::normal({2, 4, 2}, 2)});
}

TEST_CASE("they do not depend on the number of threads") {
  CHECK_THREADS(apply, {test::normal({300, 64}), test::normal({50, 64}, 2), test::normal({50}, 3)});
}

TEST_CASE("they say what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(linear(x, Tensor::zeros({4, 5})), "linear: input is [2,3], expected 5 values on the last axis");
  CHECK_ERROR(linear(x, Tensor::zeros({4})), "linear: weight is [4], expected [O,I]");
  CHECK_ERROR(linear(x, Tensor::zeros({4, 3}), Tensor::zeros({3})), "linear: bias is [3], expected [4]");
  CHECK_ERROR(matmul(x, Tensor::zeros({2, 3})), "matmul: ");
  CHECK_ERROR(matmul(x, Tensor::zeros({3})), "matmul: ");
}
