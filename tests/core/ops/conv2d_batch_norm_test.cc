#include "../../../core/ops/conv2d_batch_norm.h"

#include "../../../core/ops/arithmetic.h"
#include "../../../core/ops/relu.h"
#include "../../../core/ops/relu6.h"
#include "../../support.h"

using namespace sinter;
using namespace sinter::test;

namespace {

using Attributes = Conv2dBatchNormAttributes;

// Operands for `out` channels: x, the convolution's weight, weight, bias, running mean and variance, perhaps a skip.
std::vector<Tensor> operands(const Shape& x, const Shape& weight, const Shape& skip = {}) {
  const int64_t out = weight[0];
  const Tensor variance = call(ops::Mul{}, normal({out}, 6), normal({out}, 6)) + 0.5;
  std::vector<Tensor> all{normal(x, 1),     normal(weight, 2, 0.2), normal({out}, 3),
                          normal({out}, 4), normal({out}, 5),       variance.detach()};
  if (skip.rank() > 0) all.push_back(normal(skip, 7));
  return all;
}

// The running statistics change in training and have no gradient: clones.
TensorFunction fused(const Attributes& a, const std::vector<Tensor>& state, bool training) {
  return [=](const std::vector<Tensor>& x) {
    const TrainingMode mode(training);
    std::vector<Tensor> inputs{x[0], x[1], x[2], x[3], state[0].clone(), state[1].clone()};
    inputs.insert(inputs.end(), x.begin() + 4, x.end());
    return call_all(std::make_shared<ops::Conv2dBatchNorm>(a), inputs)[0];
  };
}

TensorFunction apart(const Attributes& a, const std::vector<Tensor>& state, bool training) {
  return [=](const std::vector<Tensor>& x) {
    const TrainingMode mode(training);
    Tensor y = batch_norm(conv2d(x[0], x[1], {}, a.conv()), x[2], x[3], state[0].clone(), state[1].clone(),
                          {.eps = a.eps, .momentum = a.momentum, .frozen = a.frozen});
    if (x.size() > 4) y = y + x[4];
    if (a.activation == "none") return y;
    return a.activation == "relu" ? relu(y) : relu6(y);
  };
}

struct Case {
  TensorFunction one, several;
  std::vector<Tensor> x;

  Case(const Attributes& a, std::vector<Tensor> all, bool training) : x(std::move(all)) {
    const std::vector<Tensor> state{x[4], x[5]};
    x.erase(x.begin() + 4, x.begin() + 6);
    one = fused(a, state, training);
    several = apart(a, state, training);
  }
};

// The output, and the gradient of every input.
std::vector<Tensor> gradients(const TensorFunction& f, const std::vector<Tensor>& x) {
  std::vector<Tensor> leaves;
  for (const Tensor& t : x) leaves.push_back(t.clone().set_requires_grad(true));
  const Tensor y = f(leaves);
  y.backward(normal(y.shape(), 20));
  std::vector<Tensor> all{y.detach()};
  for (const Tensor& leaf : leaves) all.push_back(leaf.grad());
  return all;
}

}  // namespace

TEST_CASE("conv2d_batch_norm: the bits of the operations apart, in several slices and a smaller last one") {
  for (const bool training : {true, false}) {
    CAPTURE(training);
    const Case cases[] = {
        {{.padding = 1, .activation = "relu"}, operands({9, 16, 32, 16}, {16, 3, 3, 16}, {9, 16, 32, 16}), training},
        {{.padding = 1}, operands({19, 16, 16, 32}, {32, 3, 3, 32}), training},  // Winograd's
        {{.stride = 2, .padding = 1, .activation = "relu"}, operands({5, 33, 31, 3}, {20, 3, 3, 3}), training},
        {{.groups = 4, .activation = "relu6"}, operands({3, 70, 70, 8}, {8, 1, 1, 2}), training},
        {{.padding = 1, .activation = "relu", .frozen = true}, operands({9, 16, 32, 16}, {16, 3, 3, 16}), training},
    };
    for (const Case& c : cases) {
      const auto actual = gradients(c.one, c.x), expected = gradients(c.several, c.x);
      for (size_t i = 0; i < actual.size(); ++i) CHECK_SAME(actual[i], expected[i]);
      const NoGrad no_grad;
      CHECK_SAME(c.one(c.x), c.several(c.x));
    }
  }
}

TEST_CASE("conv2d_batch_norm: gradients are those of finite differences") {
  for (const bool training : {true, false}) {
    const Case plain({.stride = 2, .padding = 1}, operands({3, 5, 4, 2}, {3, 3, 3, 2}), training);
    CHECK_GRADIENT(plain.one, plain.x, {.step = 3e-3, .rtol = 2e-2, .atol = 3e-3});
    const Case frozen({.padding = 1, .frozen = true}, operands({3, 5, 4, 2}, {3, 3, 3, 2}), training);
    CHECK_GRADIENT(frozen.one, frozen.x, {.step = 3e-3, .rtol = 2e-2, .atol = 3e-3});
    const Case adds({.padding = 1}, operands({2, 4, 4, 2}, {3, 3, 3, 2}, {2, 4, 4, 3}), training);
    CHECK_GRADIENT(adds.one, adds.x, {.step = 3e-3, .rtol = 2e-2, .atol = 3e-3});
  }
}

TEST_CASE("conv2d_batch_norm: threads change nothing") {
  const Case direct({.padding = 1, .activation = "relu"}, operands({9, 32, 32, 16}, {16, 3, 3, 16}, {9, 32, 32, 16}),
                    true);
  CHECK_THREADS(direct.one, direct.x);
  const Case winograd({.padding = 1, .activation = "relu"}, operands({19, 16, 16, 32}, {32, 3, 3, 32}), true);
  CHECK_THREADS(winograd.one, winograd.x);
}

TEST_CASE("conv2d_batch_norm: the running statistics move in training alone") {
  std::vector<Tensor> apart = operands({4, 5, 5, 2}, {3, 3, 3, 2}), together;
  for (const Tensor& t : apart) together.push_back(t.clone());
  const Tensor mean = apart[4].clone();
  const NoGrad no_grad;
  const auto run = [&](bool training, bool frozen = false) {
    const TrainingMode mode(training);
    call_all(std::make_shared<ops::Conv2dBatchNorm>(Attributes{.frozen = frozen}), together);
    batch_norm(conv2d(apart[0], apart[1]), apart[2], apart[3], apart[4], apart[5], {.frozen = frozen});
  };
  run(false);
  run(true, true);
  CHECK_SAME(together[4], mean);
  CHECK_SAME(apart[4], mean);
  run(true);
  CHECK(test::difference(together[4], mean) != "");
  CHECK_SAME(together[4], apart[4]);
  CHECK_SAME(together[5], apart[5]);
}

TEST_CASE("conv2d_batch_norm: an empty batch, and shapes that do not fit") {
  const Case empty({.padding = 1}, operands({0, 4, 4, 2}, {3, 3, 3, 2}), false);
  CHECK(empty.one(empty.x).shape() == Shape{0, 4, 4, 3});
  for (const Tensor& gradient : gradients(empty.one, empty.x)) CHECK_SAME(gradient, Tensor::zeros(gradient.shape()));
  const Case training({.padding = 1}, operands({0, 4, 4, 2}, {3, 3, 3, 2}), true);
  CHECK_ERROR(training.one(training.x), "batch_norm: training on [0,4,4,3] would divide by zero");

  const auto run = [](std::vector<Tensor> x) {
    return call_all(std::make_shared<ops::Conv2dBatchNorm>(Attributes{.padding = 1}), std::move(x));
  };
  CHECK_ERROR(run({Tensor::zeros({1, 4, 4, 2})}), "conv2d_batch_norm: got 1 inputs");
  CHECK_ERROR(run(operands({1, 4, 4, 5}, {3, 3, 3, 2})),
              "conv2d: weight is [3,3,3,2] (OHWI), input [1,4,4,5] (NHWC) has 5 channels");
  CHECK_ERROR(run(operands({1, 4, 4, 2}, {3, 3, 3, 2}, {1, 4, 4, 2})),
              "batch_norm: tensor to add is [1,4,4,2], input is [1,4,4,3]");
}
