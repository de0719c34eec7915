#include "../../../core/ops/one_hot.h"

#include "../../support.h"

using namespace sinter;

namespace {
Tensor labels(const Shape& shape, const std::vector<int64_t>& values) { return Tensor::from(shape, values); }
}  // namespace

TEST_CASE("one_hot is 1 at the label") {
  CHECK_SAME(one_hot(labels({2, 2}, {0, 2, 1, 2}), {.classes = 3}),
             Tensor::from({2, 2, 3}, {1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1}));
  CHECK_SAME(one_hot(labels({}, {1}), {.classes = 2}), Tensor::from({2}, {0, 1}));
  CHECK(one_hot(labels({0}, {}), {.classes = 2}).shape() == Shape{0, 2});
}

TEST_CASE("one_hot says what does not fit") {
  CHECK_ERROR(one_hot(labels({1}, {3}), {.classes = 3}), "one_hot: label 3, expected 0..2");
  CHECK_ERROR(one_hot(labels({1}, {-1}), {.classes = 3}), "one_hot: label -1, expected 0..2");
  CHECK_ERROR(one_hot(labels({1}, {0}), {}), "one_hot: classes is 0, expected at least 1");
  CHECK_ERROR(one_hot(Tensor::zeros({2}), {.classes = 3}), "one_hot: labels are float32 [2], expected int64");
}
