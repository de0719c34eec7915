#include "../../../core/ops/permute.h"

#include "../../../core/graph.h"
#include "../../support.h"

using namespace sinter;

TEST_CASE("permute computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("permute")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const Tensor& x) { return permute(x, c.attribute<std::vector<int64_t>>("axes")); });
  }
  CHECK(cases == 7);
}

TEST_CASE("permute's gradient is that of finite differences") {
  CHECK_GRADIENT([](const Tensor& x) { return permute(x, {2, 0, 1}); }, {test::normal({2, 3, 4})});
}

TEST_CASE("permute does not depend on the number of threads, and its inverse undoes it") {
  for (const std::vector<int64_t>& axes : {std::vector<int64_t>{0, 2, 1, 3}, {3, 2, 1, 0}, {0, 3, 1, 2}}) {
    const Tensor x = test::normal({5, 37, 41, 19});
    CHECK_THREADS([&](const Tensor& t) { return permute(t, axes); }, {x});
    std::vector<int64_t> inverse(4);
    for (size_t i = 0; i < 4; ++i) inverse[static_cast<size_t>(axes[i])] = static_cast<int64_t>(i);
    CHECK_SAME(permute(permute(x, axes), inverse), x);
  }
}

TEST_CASE("permute takes any type and an empty tensor; transpose exchanges two axes") {
  for (const DType dtype : {DType::int8, DType::int16, DType::int32, DType::int64, DType::float32})
    CHECK_SAME(transpose(Tensor::from({2, 3}, {1, 2, 3, 4, 5, 6}).to(dtype)),
               Tensor::from({3, 2}, {1, 4, 2, 5, 3, 6}).to(dtype));
  CHECK(transpose(Tensor::zeros({2, 0, 3})).shape() == Shape{2, 3, 0});
  CHECK(permute(Tensor::full({}, 3), {}).item() == 3);
}

TEST_CASE("a traced permute keeps the batch symbolic") {
  const Traceable model{.run =
                            [](std::vector<Tensor> x) {
                              return std::vector{permute(x[0], {0, 2, 1})};
                            },
                        .parameters = {},
                        .modules = {}};
  const Graph graph = trace(model, {{DType::float32, {2, 3, 4}}});
  const Tensor x = test::normal({5, 3, 4});
  CHECK_SAME(graph(x), transpose(x, {1, 2}));
}

TEST_CASE("permute says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(permute(x, {0}), "permute: input is [2,3], axes=[0] are not all of its axes");
  CHECK_ERROR(permute(x, {1, -1}), "permute: input is [2,3], axes=[1,-1] names an axis twice");
  CHECK_ERROR(permute(x, {0, 2}), "permute: axis 2 is out of range for 2 axes");
  CHECK_ERROR(transpose(Tensor::zeros({2})), "transpose: axis -2 is out of range for 1 axes");
}
