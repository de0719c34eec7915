#include "../../../core/ops/variance.h"

#include <cmath>

#include "../../support.h"

using namespace sinter;

namespace {
VarianceAttributes attributes_of(const test::GoldenCase& c) {
  return {c.attribute<std::vector<int64_t>>("axes"), c.attribute<bool>("keep"), c.attribute<int64_t>("correction")};
}
}  // namespace

TEST_CASE("var and std compute what PyTorch's compute") {
  int cases = 0;
  for (const auto& c : test::golden("normalize")) {
    if (!c.name.starts_with("var") && !c.name.starts_with("std")) continue;
    ++cases;
    const bool root = c.name.starts_with("std");
    const VarianceAttributes attributes = attributes_of(c);
    CHECK_GOLDEN(c, [&](const Tensor& x) { return root ? stddev(x, attributes) : var(x, attributes); });
  }
  CHECK(cases == 10);
}

TEST_CASE("var's gradient is that of finite differences") {
  CHECK_GRADIENT([](const Tensor& x) { return var(x, {.axes = {1}}); }, {test::normal({3, 5, 2})});
  CHECK_GRADIENT([](const Tensor& x) { return var(x); }, {test::normal({7})});
}

TEST_CASE("var does not depend on the number of threads, nor does it lose itself far from 0") {
  CHECK_THREADS([](const Tensor& x) { return var(x, {.axes = {1}}); }, {test::normal({300, 301})});
  CHECK_THREADS([](const Tensor& x) { return var(x, {.axes = {0}}); }, {test::normal({3000, 31})});
  CHECK(var(Tensor::from({4}, {1e7f, 1e7f + 1, 1e7f + 2, 1e7f + 3}), {.correction = 0}).item() == 1.25f);
}

TEST_CASE("var of too little is NaN, and it says what does not fit") {
  CHECK(std::isnan(var(Tensor::ones({1})).item()));
  CHECK(var(Tensor::zeros({0, 3}), {.axes = {1}}).shape() == Shape{0});
  CHECK_ERROR(var(Tensor::zeros({2, 3}), {.axes = {2}}), "var: axis 2 is out of range for 2 axes");
  CHECK_ERROR(var(Tensor::zeros({2, 3}, DType::int8)), "var: input 0 is int8 [2,3], expected float32");
}
