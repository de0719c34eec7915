#include "../../../core/ops/topk.h"

#include <limits>

#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/reduce.h"
#include "../../support.h"

using namespace sinter;

TEST_CASE("topk computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("topk")) continue;
    ++cases;
    const TopKAttributes a{c.attribute<int64_t>("k"), c.attribute<int64_t>("axis"), c.attribute<bool>("largest")};
    CHECK_GOLDEN(c, [&](const Tensor& x) { return topk(x, a).values; });
  }
  CHECK(cases == 4);
}

TEST_CASE("topk's indices are where its values are: equal ones in order, NaN above all numbers") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from({7}, {1, kNan, 3, -kInf, 3, kInf, kNan});
  CHECK_SAME(topk(x, {.k = 6}).indices, Tensor::from({6}, std::vector<int64_t>{1, 6, 5, 2, 4, 0}));
  CHECK_SAME(topk(x, {.k = 7, .largest = false}).indices, Tensor::from({7}, std::vector<int64_t>{3, 0, 2, 4, 5, 1, 6}));
  CHECK_SAME(topk(x, {.k = 3}).values, Tensor::from({3}, {kNan, kNan, kInf}));
}

TEST_CASE("topk's gradient is that of finite differences; its indices need none") {
  CHECK_GRADIENT([](const Tensor& x) { return topk(x, {.k = 3, .axis = 1}).values; }, {test::distinct({2, 5, 2})});
  Tensor x = test::distinct({2, 5});
  x.set_requires_grad(true);
  const TopK top = topk(x, {.k = 2});
  CHECK(top.values.requires_grad());
  CHECK(!top.indices.requires_grad());
  CHECK_ERROR(top.indices.backward(Tensor::ones({2, 2})), "backward: the tensor depends on nothing");
  sum(top.values * 2).backward();
  CHECK(sum(x.grad()).item() == 8);
}

TEST_CASE("topk does not depend on the number of threads") {
  CHECK_THREADS([](const Tensor& x) { return topk(x, {.k = 5}).values; }, {test::normal({3000, 20})});
}

TEST_CASE("topk says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(topk(x, {.k = 0}), "topk: k is 0, expected at least 1");
  CHECK_ERROR(topk(x, {.k = 4}), "topk: input is [2,3], expected at least k = 4 values along axis 1");
  CHECK_ERROR(topk(Tensor::zeros({2}, DType::int64), {.k = 1}), "topk: input 0 is int64 [2], expected float32");
}
