#include "../../../core/ops/concat.h"

#include "../../../core/ops/slice.h"
#include "../../support.h"

using namespace sinter;

namespace {
auto along(int64_t axis) {
  return [axis](const std::vector<Tensor>& x) { return concat(x, axis); };
}
}  // namespace

TEST_CASE("concat computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("concat")) continue;
    ++cases;
    CHECK_GOLDEN(c, along(c.attribute<int64_t>("axis")));
  }
  CHECK(cases > 0);
}

TEST_CASE("concat's gradients are those of finite differences") {
  CHECK_GRADIENT(along(-1), {test::normal({2, 2, 3}), test::normal({2, 2, 1}, 2), test::normal({2, 2, 2}, 3)});
  CHECK_GRADIENT(along(0), {test::normal({1, 4}), test::normal({2, 4}, 2)});
}

TEST_CASE("one tensor may stand in several places") {
  const Tensor x = Tensor::from({1, 2}, {1, 2});
  CHECK_SAME(concat({x, x, x}), Tensor::from({1, 6}, {1, 2, 1, 2, 1, 2}));
  CHECK_GRADIENT([](const Tensor& t) { return concat({t, t}, 0); }, {test::normal({2, 3})});
}

TEST_CASE("concat takes any type") {
  const Tensor a = Tensor::full({2, 1}, 3, DType::int64), b = Tensor::full({2, 2}, -4, DType::int64);
  CHECK_SAME(concat({a, b}), Tensor::from({2, 3}, std::vector<int64_t>{3, -4, -4, 3, -4, -4}));
}

TEST_CASE("concat and slice take runs of every length to their places") {
  for (const DType dtype : {DType::int8, DType::float32, DType::int64})
    for (const int64_t length : {1, 2, 3, 4, 5, 8, 9}) {
      CAPTURE(length);
      const Tensor a = test::normal({700, length}, 1, 40).to(dtype), b = test::normal({700, 1}, 2, 40).to(dtype);
      const Tensor y = concat({a, b, a});
      CHECK_SAME(slice(y, {.axis = 1, .begin = 0, .end = length}), a);
      CHECK_SAME(slice(y, {.axis = 1, .begin = length, .end = length + 1}), b);
      CHECK_SAME(slice(y, {.axis = 1, .begin = length + 1}), a);
      const auto at = [](const Tensor& t, int64_t row, int64_t column) {
        return t.to(DType::float32).at({row, column});
      };
      CHECK(at(y, 699, 2 * length) == at(a, 699, length - 1));
      CHECK(at(y, 3, length) == at(b, 3, 0));
    }
}

TEST_CASE("values of two, three, four, five tensors lie side by side") {
  for (int64_t count = 2; count <= 5; ++count) {
    std::vector<Tensor> parts;
    for (int64_t i = 0; i < count; ++i) parts.push_back(test::normal({701, 1}, static_cast<uint64_t>(i)));
    const Tensor y = concat(parts);
    for (int64_t i = 0; i < count; ++i)
      CHECK_SAME(slice(y, {.axis = 1, .begin = i, .end = i + 1}), parts[static_cast<size_t>(i)]);
  }
}

TEST_CASE("concat does not depend on the number of threads") {
  CHECK_THREADS(along(-1), {test::normal({2000, 30}), test::normal({2000, 20}, 2)});
  CHECK_THREADS(along(-1), {test::normal({20001, 1}), test::normal({20001, 2}, 2), test::normal({20001, 4}, 3)});
}

TEST_CASE("concat says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(concat({}), "concat: got no inputs, expected at least 1");
  CHECK_ERROR(concat({x, Tensor::zeros({3, 3})}),
              "concat: inputs are float32 [2,3] and float32 [3,3], expected one type and, but for axis 1, one shape");
  CHECK_ERROR(concat({x, Tensor::zeros({2})}, 0),
              "concat: inputs are float32 [2,3] and float32 [2], expected one type and, but for axis 0, one shape");
  CHECK_ERROR(concat({x, Tensor::zeros({2, 3}, DType::int8)}),
              "concat: inputs are float32 [2,3] and int8 [2,3], expected one type and, but for axis 1, one shape");
  CHECK_ERROR(concat({x}, 2), "concat: axis 2 is out of range for 2 axes");
  CHECK_ERROR(concat({x, Tensor()}), "concat: input 1 is an undefined tensor");
}
