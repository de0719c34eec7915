#include "../../../core/ops/flatten.h"

#include "../../../core/graph.h"
#include "../../support.h"

using namespace sinter;

TEST_CASE("flatten computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("flatten")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const Tensor& x) { return flatten(x, c.attribute<int64_t>("start_axis")); });
  }
  CHECK(cases > 0);
}

TEST_CASE("flatten's gradient is that of finite differences") {
  CHECK_GRADIENT([](const Tensor& x) { return flatten(x); }, {test::normal({2, 3, 2, 2})});
}

TEST_CASE("a flattened tensor is a view, of any type and also of an empty batch") {
  const Tensor x = Tensor::zeros({2, 3, 4}, DType::int8);
  CHECK(flatten(x).data<int8_t>() == x.data<int8_t>());
  CHECK(flatten(x).spec() == Spec{DType::int8, {2, 12}});
  CHECK(flatten(x, 0).shape() == Shape{24});
  CHECK(flatten(x, 2).shape() == Shape{2, 3, 4});
  CHECK(flatten(Tensor::zeros({0, 3, 4})).shape() == Shape{0, 12});
  CHECK_ERROR(flatten(Tensor::zeros({3})), "flatten: axis 1 is out of range for 1 axes");
}

TEST_CASE("a traced flatten runs at any batch size") {
  const Traceable model{
      .run = [](std::vector<Tensor> x) { return std::vector{flatten(x[0])}; }, .parameters = {}, .modules = {}};
  const Graph graph = trace(model, {{DType::float32, {1, 2, 3}}});
  CHECK(graph(Tensor::zeros({5, 2, 3})).shape() == Shape{5, 6});
}
