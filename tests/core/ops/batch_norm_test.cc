#include "../../../core/ops/batch_norm.h"

#include "../../support.h"

using namespace sinter;

namespace {

Tensor normalized(const std::vector<Tensor>& x, const BatchNormAttributes& a) {
  if (x.size() == 6) return call(ops::BatchNorm{a}, x[0], x[1], x[2], x[3], x[4], x[5]);
  return batch_norm(x[0], x[1], x[2], x[3], x[4], a);
}

// Batch normalisation of x, weight and bias (and a tensor to add) with fresh running statistics.
test::TensorFunction fresh(bool training, const BatchNormAttributes& a = {}) {
  return [training, a](const std::vector<Tensor>& x) -> Tensor {
    const TrainingMode mode(training);
    const Shape channels{x[1].size(0)};
    std::vector<Tensor> inputs{x[0], x[1], x[2], Tensor::zeros(channels), Tensor::ones(channels)};
    if (x.size() == 4) inputs.push_back(x[3]);
    return normalized(inputs, a);
  };
}

}  // namespace

TEST_CASE("batch_norm computes what PyTorch's computes, with its gradients and running statistics") {
  int cases = 0;
  for (const auto& c : test::golden("ops")) {
    if (!c.name.starts_with("batch_norm")) continue;
    ++cases;
    INFO(c.name);
    std::vector<Tensor> x{c.input("x").clone(), c.input("weight").clone(), c.input("bias").clone(),
                          c.input("mean").clone(), c.input("var").clone()};
    const bool skip = c.name.find("skip") != std::string::npos;
    if (skip) x.push_back(c.input("skip").clone());
    for (const size_t i : {size_t{0}, size_t{1}, size_t{2}, size_t{5}})
      if (i < x.size()) x[i].set_requires_grad(true);
    const TrainingMode mode(c.attribute<bool>("training"));
    const Tensor y = normalized(x, {.relu = c.attribute<bool>("relu")});
    CHECK_CLOSE(y.detach(), c.output("y"), 1e-5, 1e-5);
    CHECK_CLOSE(x[3], c.output("mean"), 1e-5, 1e-6);
    CHECK_CLOSE(x[4], c.output("var"), 1e-5, 1e-6);
    y.backward(c.gradient("y"));
    CHECK_CLOSE(x[0].grad(), c.gradient("x"), 1e-4, 1e-5);
    CHECK_CLOSE(x[1].grad(), c.gradient("weight"), 1e-4, 1e-5);
    CHECK_CLOSE(x[2].grad(), c.gradient("bias"), 1e-4, 1e-5);
    if (skip) CHECK_CLOSE(x[5].grad(), c.gradient("skip"), 1e-5, 1e-6);
  }
  CHECK(cases == 5);
}

TEST_CASE("batch_norm's gradients are those of finite differences") {
  const std::vector<Tensor> x{test::normal({4, 2, 2, 3}), test::normal({3}, 2), test::normal({3}, 3)};
  CHECK_GRADIENT(fresh(true), x);
  CHECK_GRADIENT(fresh(false), x);
  CHECK_GRADIENT(fresh(true), {x[0], x[1], x[2], test::normal({4, 2, 2, 3}, 4)});
}

TEST_CASE("batch_norm does not depend on the number of threads") {
  for (const int64_t channels : {3, 16, 64})
    CHECK_THREADS(fresh(true, {.relu = true}), {test::normal({16, 15, 17, channels}), test::normal({channels}, 2),
                                                test::normal({channels}, 3), test::normal({16, 15, 17, channels}, 4)});
}

TEST_CASE("batch_norm's statistics stand large offsets") {
  Tensor x = test::normal({64, 8, 8, 2});
  for (int64_t i = 0; i < x.elements(); ++i) x.mutable_data<float>()[i] += 3000;
  const Tensor y = fresh(true)({x, Tensor::ones({2}), Tensor::zeros({2})});
  double squares = 0;
  for (const float v : y.values<float>()) squares += static_cast<double>(v) * v;
  CHECK(squares / static_cast<double>(y.elements()) == doctest::Approx(1).epsilon(1e-3));
}

TEST_CASE("batch_norm says what does not fit") {
  const Tensor x = Tensor::zeros({2, 3}), c = Tensor::zeros({3});
  const TrainingMode training(true);
  CHECK_ERROR(batch_norm(x, Tensor::zeros({2}), c, c, c),
              "batch_norm: weight is [2], input has 3 channels, expected [3]");
  CHECK_ERROR(batch_norm(x, c, c, c, Tensor::zeros({1})), "batch_norm: running variance is [1]");
  CHECK_ERROR(batch_norm(Tensor::zeros({3}), c, c, c, c), "batch_norm: input is [3], expected [...,C]");
  CHECK_ERROR(batch_norm(Tensor::zeros({1, 3}), c, c, c.clone(), c.clone()),
              "batch_norm: training on [1,3] would divide by zero, expected more than one value a channel");
  CHECK_ERROR(normalized({x, c, c, c, c, Tensor::zeros({1, 3})}, {}),
              "batch_norm: tensor to add is [1,3], input is [2,3]");
}
