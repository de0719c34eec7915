#include "../../../core/ops/slice.h"

#include <limits>

#include "../../../core/graph.h"
#include "../../../core/ops/concat.h"
#include "../../../core/ops/reshape.h"
#include "../../support.h"

using namespace sinter;

namespace {

auto by(const SliceAttributes& attributes) {
  return [attributes](const Tensor& x) { return slice(x, attributes); };
}

SliceAttributes attributes_of(const test::GoldenCase& c) {
  SliceAttributes a{.axis = c.attribute<int64_t>("axis"),
                    .begin = c.attribute<int64_t>("begin"),
                    .step = c.attribute<int64_t>("step")};
  for (const Field& field : c.attributes)
    if (field.name == "end") a.end = std::get<int64_t>(field.value);
  return a;
}

Graph traced(const std::function<std::vector<Tensor>(const Tensor&)>& f) {
  return trace(Traceable{.run = [f](std::vector<Tensor> x) { return f(x[0]); }, .parameters = {}, .modules = {}},
               {{DType::float32, {2, 4, 6}}});
}

}  // namespace

TEST_CASE("slice computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("slice")) continue;
    ++cases;
    CHECK_GOLDEN(c, by(attributes_of(c)));
  }
  CHECK(cases == 8);
}

TEST_CASE("slice's gradient is that of finite differences") {
  CHECK_GRADIENT(by({.begin = 1}), {test::normal({2, 2, 3})});
  CHECK_GRADIENT(by({.axis = 1, .begin = 1, .end = -1, .step = 2}), {test::normal({2, 6, 2})});
}

TEST_CASE("slice takes any type") {
  const Tensor x = reshape(Tensor::arange(6, DType::int64), {2, 3});
  CHECK_SAME(slice(x, {.begin = 1}), Tensor::from({2, 2}, std::vector<int64_t>{1, 2, 4, 5}));
  CHECK_SAME(slice(x.to(DType::int8), {.step = 2}), Tensor::from({2, 2}, std::vector<int8_t>{0, 2, 3, 5}));
}

TEST_CASE("a slice's step may be as large as it likes") {
  const Tensor x = Tensor::from({3}, {1, 2, 3});
  CHECK_SAME(slice(x, {.begin = 1, .step = std::numeric_limits<int64_t>::max()}), Tensor::from({1}, {2}));
  CHECK_SAME(slice(x, {.begin = 1, .end = 1, .step = std::numeric_limits<int64_t>::max()}), Tensor::zeros({0}));
}

TEST_CASE("slice does not depend on the number of threads") {
  CHECK_THREADS(by({.begin = 5, .end = 25}), {test::normal({3000, 30})});
  CHECK_THREADS(by({.axis = 1, .step = 2}), {test::normal({40, 31, 500})});
}

TEST_CASE("slice of an empty batch is empty") {
  Tensor x = Tensor::zeros({0, 4, 3});
  x.set_requires_grad(true);
  const Tensor y = slice(x, {.axis = 1, .end = 2});
  CHECK(y.shape() == Shape{0, 2, 3});
  y.backward(Tensor::zeros({0, 2, 3}));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("the parts of a split are slices, and together the whole") {
  const Tensor x = test::normal({2, 4, 6});
  const auto thirds = split(x, {.count = 3});
  REQUIRE(thirds.size() == 3);
  CHECK_SAME(thirds[1], slice(x, {.begin = 2, .end = 4}));
  CHECK_SAME(concat(thirds), x);
  const auto uneven = split(x, {.sizes = {1, 0, 3}, .axis = 1});
  REQUIRE(uneven.size() == 3);
  CHECK(uneven[1].shape() == Shape{2, 0, 6});
  CHECK_SAME(concat(uneven, 1), x);
  CHECK_GRADIENT(
      [](const Tensor& t) {
        const auto parts = split(t, {.count = 2});
        return concat({parts[1], parts[0], parts[1]});
      },
      {test::normal({2, 4})});
}

TEST_CASE("a traced split keeps the batch symbolic, unless it is the batch that is split") {
  const Graph graph = traced([](const Tensor& x) { return split(x, {.count = 2}); });
  const Tensor x = test::normal({5, 4, 6});
  const auto parts = graph.run({x});
  CHECK_SAME(concat(parts), x);
  CHECK_ERROR(traced([](const Tensor& t) {
                return split(t, {.sizes = {1, 1}, .axis = 0});
              }),
              "split: input is [3,4,6], sizes=[1,1] do not add up to axis 0");
}

TEST_CASE("slice and split say what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(slice(x, {.step = 0}), "slice: step is 0, expected at least 1");
  CHECK_ERROR(slice(x, {.axis = 2}), "slice: axis 2 is out of range for 2 axes");
  CHECK_ERROR(slice(x, {.begin = 1, .end = 4}), "slice: input is [2,3], begin 1 and end 4 are no range of axis 1");
  CHECK_ERROR(slice(x, {.begin = -4, .end = 1}), "slice: input is [2,3], begin -4 and end 1 are no range of axis 1");
  CHECK_ERROR(slice(x, {.begin = 2, .end = 1}), "slice: input is [2,3], begin 2 and end 1 are no range of axis 1");
  CHECK_ERROR(split(x, {.count = 2}), "split: input is [2,3], whose axis -1 has no 2 equal parts");
  CHECK_ERROR(split(x, {.count = -3}), "split: input is [2,3], whose axis -1 has no -3 equal parts");
  CHECK_ERROR(split(x, {.sizes = {1, 1}}), "split: input is [2,3], sizes=[1,1] do not add up to axis -1");
  CHECK_ERROR(split(x, {.sizes = {4, -1}}), "split: input is [2,3], sizes=[4,-1] do not add up to axis -1");
  CHECK_ERROR(split(x, {}), "split: it needs a count or sizes, and not both");
  CHECK_ERROR(split(x, {.count = 3, .sizes = {1, 2}}), "split: it needs a count or sizes, and not both");
}
