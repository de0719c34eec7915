#include "../../../core/ops/huber.h"

#include <cmath>
#include <limits>

#include "../../support.h"

using namespace sinter;

TEST_CASE("huber is a parabola near the target and straight lines beyond") {
  const Tensor x = Tensor::from({5}, {-4, -1, 0, 0.5f, 3}), y = huber(x, Tensor::zeros({5}), {.delta = 2});
  CHECK_SAME(y, Tensor::from({5}, {6, 0.5f, 0, 0.125f, 4}));
  CHECK(std::isinf(huber(Tensor::full({}, -INFINITY), Tensor::zeros({})).item()));
  CHECK(std::isnan(huber(Tensor::full({}, NAN), Tensor::zeros({})).item()));
}

TEST_CASE("huber's gradients are those of finite differences") {
  CHECK_GRADIENT([](const Tensor& x, const Tensor& t) { return huber(x, t, {.delta = 0.75}); },
                 {test::normal({4, 5}, 1), test::normal({4, 5}, 2)});
}

TEST_CASE("huber does not depend on the number of threads") {
  CHECK_THREADS([](const Tensor& x, const Tensor& t) { return huber(x, t); },
                {test::normal({300, 200}, 1), test::normal({300, 200}, 2)});
}

TEST_CASE("huber says what does not fit") {
  const Tensor x = Tensor::zeros({2});
  CHECK_ERROR(huber(x, x, {.delta = 0}), "huber: delta is 0, expected above 0");
  CHECK_ERROR(huber(x, Tensor::zeros({1})), "huber: inputs are [2] and [1], expected one shape");
}
