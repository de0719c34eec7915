#include "../../../core/ops/dropout.h"

#include <cmath>

#include "../../../core/graph.h"
#include "../../../core/random.h"
#include "../../support.h"

using namespace sinter;

namespace {

// In training, always from the same position of the generator.
auto training(double p, uint64_t seed = 1) {
  return [p, seed](const Tensor& x) {
    const TrainingMode mode(true);
    manual_seed(seed);
    return dropout(x, {.p = p});
  };
}

}  // namespace

TEST_CASE("dropout in training drops its share and scales the rest, so that the mean stays") {
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    CAPTURE(p);
    constexpr int64_t kCount = 100'000;
    const Tensor y = training(p)(Tensor::ones({kCount}));
    int64_t dropped = 0;
    for (const float v : y.values<float>()) {
      dropped += v == 0;
      REQUIRE((v == 0 || v == static_cast<float>(1 / (1 - p))));
    }
    const double deviation = std::sqrt(kCount * p * (1 - p));
    CHECK(std::abs(static_cast<double>(dropped) - kCount * p) <= 4 * deviation);
  }
}

TEST_CASE("dropout in evaluation is the identity and draws nothing") {
  manual_seed(3);
  Tensor x = test::normal({4, 5});
  CHECK_SAME(dropout(x, {.p = 0.9}), x);
  CHECK(default_random().position() == 0);
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  CHECK(dropout(std::move(temporary)).data<float>() == before);
  x.set_requires_grad(true);
  dropout(x).backward(Tensor::full({4, 5}, 2));
  CHECK_SAME(x.grad(), Tensor::full({4, 5}, 2));
}

TEST_CASE("dropout's gradient passes where the value did") {
  CHECK_GRADIENT(training(0.4), {test::normal({5, 9})});
  Tensor x = test::normal({1000});
  x.set_requires_grad(true);
  const Tensor y = training(0.5)(x);
  y.backward(Tensor::ones({1000}));
  for (int64_t i = 0; i < 1000; ++i) REQUIRE(x.grad().at({i}) == (y.at({i}) == 0 ? 0 : 2));
}

TEST_CASE("each call of dropout drops others, the same after the same seed or from the same position") {
  const TrainingMode mode(true);
  const Tensor x = Tensor::ones({7, 9});
  manual_seed(5);
  const Tensor first = dropout(x);
  CHECK(default_random().position() == 64);
  const Tensor second = dropout(x);
  CHECK(!test::difference(first, second).empty());
  CHECK_SAME(training(0.5, 5)(x), first);
  manual_seed(5);
  default_random().skip(64);
  CHECK_SAME(dropout(x), second);
}

TEST_CASE("dropout does not depend on the number of threads") {
  CHECK_THREADS(training(0.3), {test::normal({301, 299})});
}

TEST_CASE("dropout overwrites only what nobody else sees") {
  const TrainingMode mode(true);
  const Tensor x = Tensor::ones({20});
  dropout(x);
  CHECK_SAME(x, Tensor::ones({20}));
  Tensor temporary = x.clone();
  const float* before = temporary.data<float>();
  CHECK(dropout(std::move(temporary)).data<float>() == before);
}

TEST_CASE("a network with dropout traces, and its graph drops in training only") {
  const Graph graph =
      trace(Traceable{.run = [](std::vector<Tensor> x) { return std::vector{dropout(x[0], {.p = 0.25})}; },
                      .parameters = {},
                      .modules = {}},
            {{DType::float32, {1, 50}}});
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].op->name() == "dropout");
  const Tensor x = test::normal({3, 50});
  CHECK_SAME(graph(x), x);
  const TrainingMode mode(true);
  manual_seed(1);
  const Tensor y = graph(x);
  CHECK_SAME(y, training(0.25)(x));
}

TEST_CASE("dropout takes any shape, also an empty one, of float32, and a p below 1") {
  CHECK(training(0.5)(Tensor::zeros({0, 3})).shape() == Shape{0, 3});
  CHECK(dropout(Tensor::full({}, 9)).item() == 9);
  CHECK_ERROR(dropout(Tensor::zeros({2}, DType::int8)), "dropout: input 0 is int8 [2], expected float32");
  for (const double p : {-0.1, 1.0})
    CHECK_ERROR(dropout(Tensor::zeros({2}), {.p = p}), text("dropout: p is ", p, ", expected 0 <= p < 1"));
  CHECK_ERROR(dropout(Tensor::zeros({2}), {.p = std::nan("")}), "dropout: p is nan, expected 0 <= p < 1");
}
