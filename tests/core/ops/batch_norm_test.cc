#include "../../../core/ops/batch_norm.h"

#include "../../support.h"

using namespace sinter;

namespace {

// x, weight, bias, running mean and variance, and perhaps a tensor to add, in training or evaluation.
auto norm(bool training, const BatchNormAttributes& attributes = {}) {
  return [training, attributes](const std::vector<Tensor>& x) {
    const TrainingMode mode(training);
    return call_all(std::make_shared<const ops::BatchNorm>(attributes), x)[0];
  };
}

// The same of x, weight, bias (and a tensor to add), with running statistics of its own.
auto norm_of(bool training, const BatchNormAttributes& attributes = {}) {
  return [=](std::vector<Tensor> x) {
    const Shape channels = x.at(1).shape();
    x.insert(x.begin() + 3, {test::normal(channels, 11), Tensor::full(channels, 1.5)});
    return norm(training, attributes)(x);
  };
}

std::vector<Tensor> operands(const Shape& shape, bool skip = false) {
  const Shape channels{shape[-1]};
  std::vector<Tensor> x{test::normal(shape), test::normal(channels, 2), test::normal(channels, 3)};
  if (skip) x.push_back(test::normal(shape, 4));
  return x;
}

}  // namespace

TEST_CASE("batch_norm computes what PyTorch's computes, and its running statistics move as there") {
  for (const auto& c : test::golden("norm")) {
    INFO(c.name);
    std::vector<Tensor> x;
    for (const auto& [name, value] : c.inputs) {
      x.push_back(value.clone());
      x.back().set_requires_grad(name != "mean" && name != "var");
    }
    const bool training = c.attribute<bool>("training");
    const Tensor y = norm(training, {.eps = c.attribute<double>("eps"),
                                     .momentum = c.attribute<double>("momentum"),
                                     .activation = c.attribute<bool>("relu") ? "relu" : "none",
                                     .frozen = c.attribute<bool>("frozen")})(x);
    CHECK_CLOSE(y, c.output("y"), 1e-4, 2e-5);
    CHECK_CLOSE(x[3], c.output("mean"));
    CHECK_CLOSE(x[4], c.output("var"));
    y.backward(c.gradient("y"));
    for (size_t i = 0; i < x.size(); ++i) {
      INFO(c.inputs[i].first);
      if (x[i].requires_grad()) CHECK_CLOSE(x[i].grad(), c.gradient(c.inputs[i].first), 1e-4, 2e-5);
    }
  }
}

TEST_CASE("batch_norm's gradient is that of finite differences") {
  for (const bool training : {true, false}) {
    INFO(training);
    CHECK_GRADIENT(norm_of(training), operands({3, 2, 3, 4}));
    CHECK_GRADIENT(norm_of(training), operands({3, 2, 3, 4}, true));
    CHECK_GRADIENT(norm_of(training, {.activation = "relu"}), operands({2, 3, 2, 2}), {.step = 1e-3, .atol = 5e-3});
    CHECK_GRADIENT(norm_of(training, {.activation = "relu"}), operands({2, 3, 2, 2}, true),
                   {.step = 1e-3, .atol = 5e-3});
  }
}

TEST_CASE("frozen batch_norm in training is that of evaluation, gradients and all") {
  for (const bool skip : {false, true}) {
    const auto results = [&](bool training, const BatchNormAttributes& attributes) {
      std::vector<Tensor> x = operands({3, 4, 5, 6}, skip);
      for (Tensor& t : x) t.set_requires_grad(true);
      const Tensor mean = test::normal({6}, 11), var = Tensor::full({6}, 1.5);
      std::vector<Tensor> all = x;
      all.insert(all.begin() + 3, {mean, var});
      const Tensor y = norm(training, attributes)(all);
      y.backward(test::normal(y.shape(), 5));
      std::vector<Tensor> seen{y.detach(), mean, var};
      for (const Tensor& t : x) seen.push_back(t.grad());
      return seen;
    };
    const auto frozen = results(true, {.activation = "relu", .frozen = true});
    const auto evaluated = results(false, {.activation = "relu"});
    REQUIRE(frozen.size() == evaluated.size());
    for (size_t i = 0; i < frozen.size(); ++i) CHECK_SAME(frozen[i], evaluated[i]);
    CHECK_SAME(frozen[1], test::normal({6}, 11));
    CHECK_SAME(frozen[2], Tensor::full({6}, 1.5));
  }
  CHECK_GRADIENT(norm_of(true, {.frozen = true}), operands({3, 2, 3, 4}));
  CHECK_GRADIENT(norm_of(true, {.activation = "relu", .frozen = true}), operands({2, 3, 2, 2}, true),
                 {.step = 1e-3, .atol = 5e-3});
  // One value a channel has no variance of its own, and needs none.
  CHECK_SAME(norm_of(true, {.frozen = true})(operands({1, 1, 1, 3})), norm_of(false)(operands({1, 1, 1, 3})));
}

TEST_CASE("a skip without its input's gradient, and the other way round") {
  const auto f = norm_of(true, {.activation = "relu"});
  const auto gradients = [&](bool of_x, bool of_skip) {
    std::vector<Tensor> x = operands({2, 3, 3, 4}, true);
    x[0].set_requires_grad(of_x);
    x[3].set_requires_grad(of_skip);
    const Tensor y = f(x);
    y.backward(test::normal(y.shape(), 5));
    return std::pair(x[0].grad(), x[3].grad());
  };
  const auto [dx, dskip] = gradients(true, true);
  CHECK_SAME(gradients(true, false).first, dx);
  CHECK_SAME(gradients(false, true).second, dskip);
}

TEST_CASE("batch_norm without a tensor to add is the shorter call") {
  const std::vector<Tensor> x = operands({2, 3, 3, 4});
  Tensor mean = Tensor::zeros({4}), var = Tensor::ones({4}), other_mean = Tensor::zeros({4}),
         other_var = Tensor::ones({4});
  const TrainingMode training(true);
  CHECK_SAME(batch_norm(x[0], x[1], x[2], mean, var, {.activation = "relu"}),
             norm(true, {.activation = "relu"})({x[0], x[1], x[2], other_mean, other_var}));
  CHECK_SAME(mean, other_mean);
  CHECK_SAME(var, other_var);
}

TEST_CASE("in evaluation the running statistics stay, and each image is normalised alone") {
  std::vector<Tensor> x = operands({4, 2, 3, 5});
  const Tensor y = norm_of(false)(x);
  x[0] = Tensor::from({1, 2, 3, 5}, x[0].values<float>().subspan(30, 30));
  CHECK_SAME(norm_of(false)(x), Tensor::from({1, 2, 3, 5}, y.values<float>().subspan(30, 30)));

  const Tensor mean = test::normal({5}), var = Tensor::full({5}, 2), mean_before = mean.clone(),
               var_before = var.clone();
  batch_norm(x[0], x[1], x[2], mean, var);
  CHECK_SAME(mean, mean_before);
  CHECK_SAME(var, var_before);
}

TEST_CASE("a large mean does not hide a small variance") {
  Tensor x = Tensor::empty({4096, 2});
  float* v = x.mutable_data<float>();
  for (int64_t row = 0; row < 4096; ++row) {
    v[2 * row] = row % 2 == 0 ? 1000.25f : 999.75f;
    v[2 * row + 1] = -v[2 * row];
  }
  const Tensor y =
      norm(true, {.momentum = 1})({x, Tensor::ones({2}), Tensor::zeros({2}), Tensor::zeros({2}), Tensor::ones({2})});
  CHECK(y.at({0, 0}) == doctest::Approx(1).epsilon(1e-3));
  CHECK(y.at({1, 0}) == doctest::Approx(-1).epsilon(1e-3));
}

TEST_CASE("batch_norm does not depend on the number of threads") {
  for (const bool training : {true, false})
    for (const int64_t channels : {16, 24, 300}) {
      INFO(training, channels);
      CHECK_THREADS(norm_of(training, {.activation = "relu"}), operands({9, 13, 14, channels}, true));
      CHECK_THREADS(norm_of(training), operands({9, 13, 14, channels}));
    }
}

TEST_CASE("batch_norm of an empty batch is empty in evaluation, and an error in training") {
  std::vector<Tensor> x = operands({0, 2, 2, 3});
  for (Tensor& t : x) t.set_requires_grad(true);
  const Tensor y = norm_of(false)(x);
  CHECK(y.shape() == Shape{0, 2, 2, 3});
  y.backward(Tensor::zeros(y.shape()));
  CHECK(x[0].grad().shape() == x[0].shape());
  CHECK_CLOSE(x[1].grad(), Tensor::zeros({3}));
  CHECK_CLOSE(x[2].grad(), Tensor::zeros({3}));
  CHECK_ERROR(norm_of(true)(x), "batch_norm: training on [0,2,2,3] would divide by zero");
  CHECK_ERROR(norm_of(true)(operands({1, 1, 1, 3})),
              "batch_norm: training on [1,1,1,3] would divide by zero, expected more than one value a channel");
}

TEST_CASE("batch_norm says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3}), three = Tensor::zeros({3}), four = Tensor::zeros({4});
  const auto f = norm(false);
  CHECK_ERROR(
      f({x, three}),
      "batch_norm: got 2 inputs, expected input, weight, bias, running mean and variance, and perhaps a tensor to "
      "add");
  CHECK_ERROR(f({three, three, three, three, three}), "batch_norm: input is [3], expected [...,C]");
  CHECK_ERROR(f({x, four, three, three, three}), "batch_norm: weight is [4], input [2,3] has 3 channels, expected [3]");
  CHECK_ERROR(f({x, three, four, three, three}), "batch_norm: bias is [4], input [2,3] has 3 channels, expected [3]");
  CHECK_ERROR(f({x, three, three, four, three}),
              "batch_norm: running mean is [4], input [2,3] has 3 channels, expected [3]");
  CHECK_ERROR(f({x, three, three, three, four}),
              "batch_norm: running variance is [4], input [2,3] has 3 channels, expected [3]");
  CHECK_ERROR(f({Tensor::zeros({2, 3, 5, 5}), three, three, three, three}),
              "weight is [3], input [2,3,5,5] has 5 channels, expected [5]; is the input [N,C,H,W]?");
  CHECK_ERROR(f({x, three, three, three, three, three}), "batch_norm: tensor to add is [3], input is [2,3]");
  CHECK_ERROR(f({x, three, three, three, Tensor::zeros({3}, DType::int32)}),
              "batch_norm: input 4 is int32 [3], expected float32");
  Tensor mean = Tensor::zeros({3});
  mean.set_requires_grad(true);
  CHECK_ERROR(f({x, three, three, mean, three}).backward(x), "batch_norm: the running statistics have no gradient");
}
