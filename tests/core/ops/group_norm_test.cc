#include "../../../core/ops/group_norm.h"

#include "../../support.h"

using namespace sinter;

TEST_CASE("group_norm computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("normalize")) {
    if (!c.name.starts_with("group_norm")) continue;
    ++cases;
    const GroupNormAttributes attributes{.groups = c.attribute<int64_t>("groups"), .eps = c.attribute<double>("eps")};
    const auto f = [&](const std::vector<Tensor>& t) {
      return group_norm(t[0], t.size() > 1 ? t[1] : Tensor(), t.size() > 2 ? t[2] : Tensor(), attributes);
    };
    CHECK_GOLDEN(c, f, {.rtol = 1e-5, .atol = 1e-5});
  }
  CHECK(cases == 4);
}

TEST_CASE("group_norm's gradient is that of finite differences") {
  const auto f = [](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, w, b, {.groups = 2}); };
  CHECK_GRADIENT(f, {test::normal({2, 3, 6}), test::normal({6}, 2), test::normal({6}, 3)});
}

TEST_CASE("group_norm does not depend on the number of threads") {
  const auto f = [](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, w, b, {.groups = 2}); };
  CHECK_THREADS(f, {test::normal({40, 37, 32}), test::normal({32}, 2), test::normal({32}, 3)});
}

TEST_CASE("group_norm takes an empty batch and says what does not fit") {
  CHECK(group_norm(Tensor::zeros({0, 2, 4})).shape() == Shape{0, 2, 4});
  CHECK_ERROR(group_norm(Tensor::zeros({2, 3}), Tensor::zeros({4})), "group_norm: weight is [4], expected [3]");
  CHECK_ERROR(group_norm(Tensor::zeros({2, 3}), {}, {}, {.groups = 2}),
              "group_norm: input is [2,3], expected [N,...,C] with channels that 2 groups divide");
  CHECK_ERROR(group_norm(Tensor::zeros({2, 3}), {}, Tensor::zeros({3})), "group_norm: there is a bias, but no weight");
  CHECK_ERROR(group_norm(Tensor::zeros({2, 3}), {}, {}, {.groups = 0}), "group_norm: groups is 0, expected at least 1");
}
