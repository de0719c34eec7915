#include "../../../core/ops/gather.h"

#include "../../support.h"

using namespace sinter;

namespace {
Tensor indices(const Shape& shape, const std::vector<int64_t>& values) { return Tensor::from(shape, values); }
}  // namespace

TEST_CASE("gather computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("gather")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const Tensor& x, const Tensor& i) { return gather(x, i, c.attribute<int64_t>("axis")); });
  }
  CHECK(cases == 3);
}

TEST_CASE("gather's gradient is that of finite differences, also where an index comes twice") {
  const Tensor index = indices({2, 4}, {0, 2, 2, 1, 1, 1, 0, 2});
  CHECK_GRADIENT([&](const Tensor& x) { return gather(x, index, 1); }, {test::normal({2, 3})});
}

TEST_CASE("gather does not depend on the number of threads") {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < int64_t{300} * 400; ++i) values.push_back(i * 7919 % 50);
  const Tensor index = indices({300, 400}, values);
  CHECK_THREADS([&](const Tensor& x) { return gather(x, index); }, {test::normal({300, 50})});
}

TEST_CASE("gather says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(gather(x, indices({2, 1}, {0, 3})), "gather: index 3 is none of the 3 of axis 1");
  CHECK_ERROR(gather(x, indices({2, 1}, {-1, 0})), "gather: index -1 is none of the 3 of axis 1");
  CHECK_ERROR(gather(x, indices({3, 1}, {0, 0, 0})), "expected an int64 index of the same shape but for axis 1");
  CHECK_ERROR(gather(x, Tensor::zeros({2, 1})), "expected an int64 index of the same shape but for axis 1");
  CHECK(gather(Tensor::zeros({0, 3}), Tensor::zeros({0, 2}, DType::int64)).shape() == Shape{0, 2});
}
