#include "../../../core/ops/reshape.h"

#include "../../../core/graph.h"
#include "../../support.h"

using namespace sinter;

namespace {

Graph trace_reshape(const std::function<Tensor(const Tensor&)>& f) {
  return trace(
      Traceable{.run = [f](std::vector<Tensor> x) { return std::vector{f(x[0])}; }, .parameters = {}, .modules = {}},
      {{DType::float32, {2, 3, 4}}});
}

}  // namespace

TEST_CASE("reshape computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("reshape")) continue;
    ++cases;
    CHECK_GOLDEN(c, [&](const Tensor& x) { return reshape(x, c.attribute<std::vector<int64_t>>("shape")); });
  }
  CHECK(cases > 0);
}

TEST_CASE("reshape's gradient is that of finite differences") {
  CHECK_GRADIENT([](const Tensor& x) { return reshape(x, {3, -1}); }, {test::normal({2, 3, 2})});
}

TEST_CASE("a reshaped tensor is a view, of any type") {
  const Tensor x = Tensor::arange(6, DType::int8);
  const Tensor y = reshape(x, {2, 3});
  CHECK(y.spec() == Spec{DType::int8, {2, 3}});
  CHECK(y.data<int8_t>() == x.data<int8_t>());
  CHECK(reshape(y, {-1}).shape() == Shape{6});
  CHECK(reshape(Tensor::zeros({1, 1}), {}).rank() == 0);
}

TEST_CASE("0 keeps an axis and -1 is what is left, in an empty batch, too") {
  CHECK(reshape(Tensor::zeros({2, 3, 4}), {0, -1}).shape() == Shape{2, 12});
  CHECK(reshape(Tensor::zeros({2, 3, 4}), {-1, 0, 2}).shape() == Shape{4, 3, 2});
  CHECK(reshape(Tensor::zeros({0, 3, 4}), {0, -1}).shape() == Shape{0, 12});
  CHECK(reshape(Tensor::zeros({0, 3, 4}), {-1, 12}).shape() == Shape{0, 12});
  CHECK(reshape(Tensor::zeros({0, 3, 4}), {0, 2, 6}).shape() == Shape{0, 2, 6});
}

TEST_CASE("a traced reshape keeps the batch symbolic, or trace says that it does not") {
  const Tensor x = test::normal({5, 3, 4});
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, -1}, {-1, 12}, {0, 4, 3}}) {
    const Graph graph = trace_reshape([&](const Tensor& t) { return reshape(t, shape); });
    CHECK_SAME(graph(x), reshape(x, shape));
  }
  CHECK_ERROR(trace_reshape([](const Tensor& t) {
                return reshape(t, {t.size(0), 12});
              }),
              "the model depends on the batch size (first axis 2 or 3): reshape has shape=[2,12] in one and "
              "shape=[3,12] in the other");
  CHECK_ERROR(trace_reshape([](const Tensor& t) {
                return reshape(t, {2, 12});
              }),
              "reshape: input is [3,3,4], whose elements do not fill shape=[2,12]");
}

TEST_CASE("reshape says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(reshape(x, {4, 2}), "reshape: input is [2,3], whose elements do not fill shape=[4,2]");
  CHECK_ERROR(reshape(x, {4, -1}), "reshape: input is [2,3], whose elements do not fill shape=[4,-1]");
  CHECK_ERROR(reshape(x, {0, 2}), "reshape: input is [2,3], whose elements do not fill shape=[0,2]");
  CHECK_ERROR(reshape(x, {-1, -1}), "reshape: shape=[-1,-1], expected at most one -1");
  CHECK_ERROR(reshape(x, {-2, 3}), "reshape: shape=[-2,3], expected sizes, 0 for axes that stay, or one -1");
  CHECK_ERROR(reshape(x, {2, 3, 0}), "reshape: input is [2,3], shape=[2,3,0] keeps axis 2, which it does not have");
  CHECK_ERROR(reshape(x, {int64_t{1} << 40, int64_t{1} << 40}), "has more than 2^63 elements");
}
