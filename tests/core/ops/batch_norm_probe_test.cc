#include "../../../core/ops/batch_norm_probe.h"

#include <cmath>
#include <thread>

#include "../../../core/ops/conv2d_batch_norm.h"
#include "../../support.h"

using namespace sinter;

namespace {

const Shape kChannels{3};

// x, weight, bias, running mean and variance.
std::vector<Tensor> operands(const Shape& shape) {
  return {test::normal(shape), test::normal(kChannels, 2), test::normal(kChannels, 3), test::normal(kChannels, 4),
          Tensor::full(kChannels, 1.5)};
}

Tensor norm(const std::vector<Tensor>& x, bool training, const BatchNormAttributes& attributes = {}) {
  const TrainingMode mode(training);
  return batch_norm(x[0], x[1], x[2], x[3], x[4], attributes);
}

}  // namespace

TEST_CASE("a probe sees the batch's mean and biased variance, and the running ones stay") {
  const std::vector<Tensor> x = operands({4, 5, 2, 3}), before = operands({4, 5, 2, 3});
  const Tensor expected = norm(operands({4, 5, 2, 3}), true);
  for (const bool training : {true, false})
    for (const bool frozen : {true, false}) {
      int calls = 0;
      const BatchNormProbe probe([&](const BatchNormProbe::Seen& seen) {
        ++calls;
        CHECK(seen.running_mean.data<float>() == x[3].data<float>());
        CHECK(seen.running_var.data<float>() == x[4].data<float>());
        REQUIRE(seen.count == 40);
        for (size_t c = 0; c < 3; ++c) {
          double sum = 0, squares = 0;
          for (size_t i = c; i < 120; i += 3) sum += x[0].values<float>()[i];
          for (size_t i = c; i < 120; i += 3) squares += std::pow(x[0].values<float>()[i] - sum / 40, 2);
          CHECK(seen.mean[c] == doctest::Approx(sum / 40).epsilon(1e-6));
          CHECK(seen.var[c] == doctest::Approx(squares / 40).epsilon(1e-6));
        }
      });
      CHECK_SAME(norm(x, training, {.frozen = frozen}), expected);
      CHECK(calls == 1);
    }
  CHECK_SAME(x[3], before[3]);
  CHECK_SAME(x[4], before[4]);
}

TEST_CASE("a probe sees the batch normalisation that is fused with a convolution as it sees the other") {
  std::vector<BatchNormProbe::Seen> seen;
  const BatchNormProbe probe([&](const BatchNormProbe::Seen& s) { seen.push_back(s); });
  const std::vector<Tensor> rest = operands({1, 3});
  const Tensor x = test::normal({4, 6, 6, 2}), filter = test::normal({3, 3, 3, 2});
  const Tensor fused = call(ops::Conv2dBatchNorm{}, x, filter, rest[1], rest[2], rest[3], rest[4]);
  CHECK_SAME(batch_norm(conv2d(x, filter), rest[1], rest[2], rest[3], rest[4]), fused);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].count == 64);
  CHECK(seen[1].count == 64);
  CHECK(seen[0].mean == seen[1].mean);
  CHECK(seen[0].var == seen[1].var);
}

TEST_CASE("the innermost probe of a thread sees, until its scope ends") {
  const std::vector<Tensor> x = operands({4, 3});
  int outer_calls = 0, inner_calls = 0;
  {
    const BatchNormProbe outer([&](const auto&) { ++outer_calls; });
    {
      const BatchNormProbe inner([&](const auto&) { ++inner_calls; });
      norm(x, true);
    }
    norm(x, true);
    std::thread([] { CHECK(BatchNormProbe::active() == nullptr); }).join();
  }
  CHECK_SAME(x[4], operands({4, 3})[4]);
  norm(x, true);
  CHECK(!test::difference(x[4], operands({4, 3})[4], 0, 0).empty());
  CHECK(outer_calls == 1);
  CHECK(inner_calls == 1);
}

TEST_CASE("a probe refuses passes with gradients, and a batch without variance") {
  std::vector<Tensor> x = operands({4, 3}), one = operands({1, 3});
  const BatchNormProbe probe([](const auto&) {});
  CHECK_ERROR(norm(one, false), "batch_norm: training on [1,3] would divide by zero");
  x[0].set_requires_grad(true);
  CHECK_ERROR(norm(x, true), "batch_norm: a BatchNormProbe is for passes without gradients; use NoGrad");
  const NoGrad no_grad;
  norm(x, true);
}
