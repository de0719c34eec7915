#include "../../../core/ops/pad.h"

#include "../../support.h"

using namespace sinter;

namespace {
auto by(const PadAttributes& attributes) {
  return [attributes](const Tensor& x) { return pad(x, attributes); };
}
}  // namespace

TEST_CASE("pad computes what PyTorch's computes") {
  int cases = 0;
  for (const auto& c : test::golden("shape")) {
    if (!c.name.starts_with("pad")) continue;
    ++cases;
    CHECK_GOLDEN(c, by({.before = c.attribute<std::vector<int64_t>>("before"),
                        .after = c.attribute<std::vector<int64_t>>("after"),
                        .value = c.attribute<double>("value")}));
  }
  CHECK(cases > 0);
}

TEST_CASE("pad's gradient is that of finite differences") {
  CHECK_GRADIENT(by({.before = {0, 1, 0, 0}, .after = {0, 0, 2, 0}, .value = 3}), {test::normal({2, 2, 3, 2})});
  CHECK_GRADIENT(by({.before = {1, 0, 2}, .after = {0, 1, 1}}), {test::normal({2, 3, 2})});
}

TEST_CASE("a list that is left out adds nothing") {
  const Tensor x = Tensor::from({2}, {1, 2});
  CHECK_SAME(pad(x, {.before = {1}, .value = 9}), Tensor::from({3}, {9, 1, 2}));
  CHECK_SAME(pad(x, {.after = {1}, .value = 9}), Tensor::from({3}, {1, 2, 9}));
  CHECK_SAME(pad(x, {}), x);
  CHECK_SAME(pad(Tensor::full({}, 4), {}), Tensor::full({}, 4));
}

TEST_CASE("around nothing, a pad is all there is") {
  CHECK_SAME(pad(Tensor::zeros({2, 0}), {.before = {0, 2}, .after = {0, 1}, .value = 7}), Tensor::full({2, 3}, 7));
  CHECK(pad(Tensor::zeros({0, 2, 2}), {.before = {0, 1, 1}}).shape() == Shape{0, 3, 3});
}

TEST_CASE("pad does not depend on the number of threads") {
  CHECK_THREADS(by({.before = {0, 1, 1, 0}, .after = {0, 1, 1, 0}}), {test::normal({4, 30, 30, 16})});
}

TEST_CASE("pad says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_ERROR(pad(x, {.before = {1}}), "pad: input is [2,3], before=[1], expected one number an axis");
  CHECK_ERROR(pad(x, {.after = {0, 1, 0}}), "pad: input is [2,3], after=[0,1,0], expected one number an axis");
  CHECK_ERROR(pad(x, {.before = {0, -1}}), "pad: before=[0,-1], expected at least 0");
  CHECK_ERROR(pad(Tensor::zeros({2}, DType::int8), {}), "pad: input 0 is int8 [2], expected float32");
}
