#include "../../../core/ops/arithmetic.h"

#include <cmath>

#include "../../../core/ops/relu.h"
#include "../../support.h"

using namespace sinter;

namespace {

using Binary = Tensor (*)(const Tensor&, const Tensor&);
struct Named {
  const char* name;
  Binary f;
};
const Named kOps[] = {
    {"add", [](const Tensor& a, const Tensor& b) { return a + b; }},
    {"sub", [](const Tensor& a, const Tensor& b) { return a - b; }},
    {"mul", [](const Tensor& a, const Tensor& b) { return a * b; }},
    {"div", [](const Tensor& a, const Tensor& b) { return a / b; }},
};

Tensor away_from_zero(const Shape& shape) {
  Tensor x = test::normal(shape, 5, 0.2);
  for (int64_t i = 0; i < x.elements(); ++i) x.mutable_data<float>()[i] += 2;
  return x;
}

}  // namespace

TEST_CASE("arithmetic computes what PyTorch's computes, with broadcasting") {
  int cases = 0;
  for (const auto& c : test::golden("ops"))
    for (const Named& op : kOps)
      if (c.name.starts_with(std::string(op.name) + " ")) {
        ++cases;
        CHECK_GOLDEN(c, op.f);
      }
  CHECK(cases == 16);
}

TEST_CASE("arithmetic's gradients are those of finite differences") {
  for (const Named& op : kOps) {
    INFO(op.name);
    CHECK_GRADIENT(op.f, {test::normal({2, 3, 2}), away_from_zero({3, 1})});
    CHECK_GRADIENT(op.f, {test::normal({3}), away_from_zero({2, 3})});
  }
}

TEST_CASE("arithmetic does not depend on the number of threads") {
  for (const Named& op : kOps) {
    INFO(op.name);
    CHECK_THREADS(op.f, {test::normal({300, 7, 31}), away_from_zero({31})});
  }
}

TEST_CASE("numbers are tensors without axes") {
  const Tensor x = Tensor::from({2}, {1, -4});
  CHECK_SAME(x + 1, Tensor::from({2}, {2, -3}));
  CHECK_SAME(1 - x, Tensor::from({2}, {0, 5}));
  CHECK_SAME(x * 0.5, Tensor::from({2}, {0.5f, -2}));
  CHECK_SAME(2 / x, Tensor::from({2}, {2, -0.5f}));
  CHECK_SAME(-x, Tensor::from({2}, {-1, 4}));
}

TEST_CASE("an operand that somebody else holds is not overwritten") {
  const Tensor x = Tensor::from({2}, {1, 2}), held = x;
  Tensor y = Tensor::from({2}, {5, 5});
  CHECK_SAME(Tensor(x) + y, Tensor::from({2}, {6, 7}));
  CHECK_SAME(held, Tensor::from({2}, {1, 2}));
  CHECK_SAME(std::move(y) + x, Tensor::from({2}, {6, 7}));
}

TEST_CASE("shapes that do not broadcast are an error") {
  CHECK_ERROR(Tensor::zeros({2, 3}) + Tensor::zeros({2}), "add: ");
  CHECK_ERROR(Tensor::zeros({2, 3}) * Tensor::zeros({3, 3}), "mul: ");
  CHECK_ERROR(Tensor::zeros({2}) / Tensor::zeros({2}, DType::int32), "div: ");
}

TEST_CASE("relu computes what PyTorch's computes, and NaN survives it") {
  for (const auto& c : test::golden("ops"))
    if (c.name == "relu") CHECK_GOLDEN(c, [](const Tensor& x) { return relu(x); });
  CHECK_GRADIENT([](const Tensor& x) { return relu(x); }, {test::distinct({4, 5})});
  const Tensor y = relu(Tensor::from({3}, {-1, NAN, 2}));
  CHECK(y.at({0}) == 0);
  CHECK(std::isnan(y.at({1})));
  CHECK_THREADS([](const Tensor& x) { return relu(x); }, {test::normal({70000})});
}
