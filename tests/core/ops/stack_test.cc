#include "../../../core/ops/stack.h"

#include "../../../core/graph.h"
#include "../../../core/ops/arithmetic.h"
#include "../../support.h"

using namespace sinter;

TEST_CASE("stack computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("stack")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const std::vector<Tensor>& x) { return stack(x, c.attribute<int64_t>("axis")); });
  }
  CHECK(cases == 5);
}

TEST_CASE("stack takes numbers, any type, and what is empty") {
  CHECK_SAME(stack({Tensor::full({}, 1), Tensor::full({}, 2)}), Tensor::from({2}, {1, 2}));
  CHECK(stack({Tensor::arange(2, DType::int64)}, 1).spec() == Spec{DType::int64, {2, 1}});
  CHECK(stack({Tensor::zeros({0, 2}), Tensor::zeros({0, 2})}).shape() == Shape{2, 0, 2});
  CHECK(stack({Tensor::zeros({0, 2}), Tensor::zeros({0, 2})}, 2).shape() == Shape{0, 2, 2});
}

TEST_CASE("a traced stack runs with any batch") {
  for (const int64_t axis : {0, 1, -1}) {
    const auto f = [axis](const Tensor& x) { return stack({x, x * 2}, axis); };
    Traceable model;
    model.run = [&](std::vector<Tensor> x) { return std::vector<Tensor>{f(x[0])}; };
    const Graph graph = trace(model, {{DType::float32, {1, 3, 2}}});
    const Tensor x = test::normal({4, 3, 2});
    CHECK_SAME(graph(x), f(x));
  }
}

TEST_CASE("stack says what does not fit") {
  CHECK_ERROR(stack({}), "stack: got no tensors, expected at least 1");
  CHECK_ERROR(stack({Tensor::zeros({2}), Tensor::zeros({3})}), "stack: tensors are float32 [2] and float32 [3]");
  CHECK_ERROR(stack({Tensor::zeros({2})}, 2), "stack: axis 2 is out of range for 2 axes");
  CHECK_ERROR(stack({Tensor()}), "stack: tensor 0 is undefined");
}
