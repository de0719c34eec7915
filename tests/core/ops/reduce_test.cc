#include "../../../core/ops/reduce.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

namespace {

using Reduction = Tensor (*)(const Tensor&, std::vector<int64_t>, bool);
struct Operation {
  std::string name;
  Reduction f;
};
const std::vector<Operation> kOperations{{"sum", sum}, {"mean", mean}, {"max", max}, {"min", min}};

auto over(Reduction f, const std::vector<int64_t>& axes, bool keep = false) {
  return [f, axes, keep](const Tensor& x) { return f(x, axes, keep); };
}

}  // namespace

TEST_CASE("reductions compute what PyTorch's compute") {
  for (const Operation& operation : kOperations) {
    int cases = 0;
    for (const auto& c : test::golden("reduce")) {
      if (!c.name.starts_with(operation.name + " ")) continue;
      ++cases;
      CHECK_GOLDEN(c, over(operation.f, c.attribute<std::vector<int64_t>>("axes"), c.attribute<bool>("keep")));
    }
    CHECK(cases > 0);
  }
}

TEST_CASE("a reduction's gradient is that of finite differences") {
  for (const Operation& operation : kOperations) {
    INFO(operation.name);
    const Tensor x = test::distinct({2, 3, 2, 3});
    CHECK_GRADIENT(over(operation.f, {}), {x});
    CHECK_GRADIENT(over(operation.f, {1, 2}), {x});
    CHECK_GRADIENT(over(operation.f, {0, -1}, true), {x});
  }
}

TEST_CASE("reductions do not depend on the number of threads") {
  for (const Operation& operation : kOperations) {
    INFO(operation.name);
    CHECK_THREADS(over(operation.f, {}), {test::normal({100003})});
    CHECK_THREADS(over(operation.f, {0}), {test::normal({5000, 16})});
    CHECK_THREADS(over(operation.f, {1}), {test::normal({300, 301})});
    CHECK_THREADS(over(operation.f, {1, 2}), {test::normal({3, 90, 90, 5})});
  }
}

TEST_CASE("long sums do not lose small terms") {
  const int64_t count = 1 << 20;
  Tensor x = Tensor::full({count}, 0.1);
  x.mutable_data<float>()[0] = 1 << 24;  // in float32, adding 0.1 to this changes nothing
  const double expected = static_cast<double>(1 << 24) + static_cast<double>(0.1f) * static_cast<double>(count - 1);
  CHECK(sum(x).item() == static_cast<float>(expected));
  CHECK(mean(x).item() == doctest::Approx(expected / static_cast<double>(count)).epsilon(1e-7));
}

TEST_CASE("reductions of nothing") {
  CHECK_CLOSE(sum(Tensor::zeros({2, 0}), {1}), Tensor::zeros({2}));
  CHECK_CLOSE(sum(Tensor::zeros({0, 3})), Tensor::zeros({}));
  CHECK(sum(Tensor::zeros({0, 3}), {1}).shape() == Shape{0});
  CHECK(mean(Tensor::zeros({0, 2, 2, 3}), {1, 2}).shape() == Shape{0, 3});
  CHECK(std::isnan(mean(Tensor::zeros({0})).item()));
  CHECK(max(Tensor::zeros({0, 3}), {1}, true).shape() == Shape{0, 1});
  CHECK_ERROR(max(Tensor::zeros({2, 0}), {1}), "max: input is [2,0], expected at least one element to choose from");
  Tensor x = Tensor::zeros({0, 3});
  x.set_requires_grad(true);
  for (const Operation& operation : kOperations) operation.f(x, {1}, false).backward(Tensor::zeros({0}));
  CHECK(x.grad().shape() == x.shape());
}

TEST_CASE("reductions say what does not fit") {
  for (const Operation& operation : kOperations) {
    const Tensor x = Tensor::zeros({2, 3});
    CHECK_ERROR(operation.f(x, {2}, false), operation.name + ": axis 2 is out of range for 2 axes");
    CHECK_ERROR(operation.f(x, {-3}, false), operation.name + ": axis -3 is out of range for 2 axes");
    CHECK_ERROR(operation.f(x, {1, -1}, false), operation.name + ": axis -1 is named twice");
    CHECK_ERROR(operation.f(Tensor::zeros({2}, DType::int64), {}, false),
                operation.name + ": input 0 is int64 [2], expected float32");
  }
}
