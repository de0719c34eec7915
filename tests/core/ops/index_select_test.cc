#include "../../../core/ops/index_select.h"

#include "../../support.h"

using namespace sinter;

namespace {
Tensor indices(const std::vector<int64_t>& values) {
  return Tensor::from({static_cast<int64_t>(values.size())}, values);
}
}  // namespace

TEST_CASE("index_select computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("index_select")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const Tensor& x, const Tensor& i) { return index_select(x, i, c.attribute<int64_t>("axis")); });
  }
  CHECK(cases == 3);
}

TEST_CASE("index_select's gradient is that of finite differences, also where an index comes twice") {
  const Tensor index = indices({0, 2, 2, 1, 2});
  CHECK_GRADIENT([&](const Tensor& x) { return index_select(x, index, 1); }, {test::normal({2, 3, 2})});
}

TEST_CASE("index_select does not depend on the number of threads") {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < 300; ++i) values.push_back(i * 7919 % 50);
  const Tensor index = indices(values);
  CHECK_THREADS([&](const Tensor& x) { return index_select(x, index); }, {test::normal({50, 3000})});
  CHECK_THREADS([&](const Tensor& x) { return index_select(x, index, 1); }, {test::normal({20, 50, 30})});
}

TEST_CASE("index_select takes any type, and none") {
  const Tensor x = Tensor::arange(6, DType::int64);
  CHECK_SAME(index_select(x, indices({5, 1})), indices({5, 1}));
  CHECK(index_select(Tensor::zeros({3, 2}), indices({})).shape() == Shape{0, 2});
  CHECK(index_select(Tensor::zeros({3, 0}), indices({1})).shape() == Shape{1, 0});
}

TEST_CASE("index_select says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(index_select(x, indices({2})), "index_select: index 2 is none of the 2 of axis 0");
  CHECK_ERROR(index_select(x, indices({-1}), 1), "index_select: index -1 is none of the 3 of axis 1");
  CHECK_ERROR(index_select(x, Tensor::zeros({2})), "index_select: index is float32 [2], expected int64 [K]");
  CHECK_ERROR(index_select(x, Tensor::zeros({1, 2}, DType::int64)), "index_select: index is int64 [1,2]");
  CHECK_ERROR(index_select(x, indices({0}), 2), "index_select: axis 2 is out of range for 2 axes");
}
