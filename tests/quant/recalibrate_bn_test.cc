#include "../../quant/recalibrate_bn.h"

#include <cmath>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/parallel.h"
#include "../../core/random.h"
#include "../../data/data_loader.h"
#include "../../nn/fit.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/layers/linear.h"
#include "../../quant/prepare.h"
#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{{.in = 2, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{4};
  nn::Linear head{{.in = 4, .out = 2}};
  nn::BatchNorm2d last{2, {.momentum = 0}};
  SINTER_CHILDREN(conv, bn, head, last)
  Tensor forward(const Tensor& x) const override { return last(head(mean(relu(bn(conv(x))), {1, 2}))); }
};

// Images [4,4,2] of random values, brighter and wider from one to the next.
struct Images : data::Dataset {
  int64_t count;
  float odd = 0;  // added to one value of the last image
  explicit Images(int64_t n) : count(n) {}
  int64_t size() const override { return count; }
  Shape image_shape() const override { return {4, 4, 2}; }
  void read(int64_t index, std::span<float> image) const override {
    Random random(7, static_cast<uint64_t>(index));
    const double size = 1 + 0.1 * static_cast<double>(index);
    for (float& v : image) v = static_cast<float>(size * (4 * random.uniform() - 1));
    if (index + 1 == count) image[5] += odd;
  }
  int64_t label(int64_t index) const override { return index % 2; }
};

Net fresh() {
  manual_seed(4);
  Net net;
  for (Parameter* buffer : {&net.bn.running_mean, &net.bn.running_var, &net.last.running_mean, &net.last.running_var})
    buffer->tensor().copy_from(Tensor::full(buffer->tensor().shape(), 9));
  return net;
}

// Of all values of some tensors [...,C] together; the variance unbiased.
struct Statistics {
  explicit Statistics(const std::vector<Tensor>& all) : mean(all[0].size(-1)), var(mean.size()) {
    double count = 0;
    const auto each = [&](auto f) {
      for (const Tensor& x : all)
        for (int64_t i = 0; i < x.elements(); ++i)
          f(static_cast<size_t>(i) % mean.size(), static_cast<double>(x.values<float>()[static_cast<size_t>(i)]));
    };
    for (const Tensor& x : all) count += static_cast<double>(x.elements() / x.size(-1));
    each([&](size_t c, double v) { mean[c] += v / count; });
    each([&](size_t c, double v) { var[c] += (v - mean[c]) * (v - mean[c]) / (count - 1); });
  }
  void check(const nn::BatchNorm2d& bn) const {
    for (size_t c = 0; c < mean.size(); ++c) {
      CHECK(bn.running_mean.tensor().values<float>()[c] == doctest::Approx(mean[c]).epsilon(1e-5));
      CHECK(bn.running_var.tensor().values<float>()[c] == doctest::Approx(var[c]).epsilon(1e-5));
    }
  }
  std::vector<double> mean, var;
};

std::vector<Tensor> values_of(const nn::Module& model) {
  std::vector<Tensor> all;
  for (const auto& own : model.named_state()) all.push_back(own.value.tensor().clone());
  return all;
}

void check_same(const nn::Module& model, const std::vector<Tensor>& before) {
  const auto now = values_of(model);
  REQUIRE(now.size() == before.size());
  for (size_t i = 0; i < now.size(); ++i) CHECK_SAME(now[i], before[i]);
}

}  // namespace

TEST_CASE("recalibrate_bn: statistics are those of all values together, each batch normalised by its own") {
  const Images images(21);
  Net net = fresh();
  recalibrate_bn(net, images, {.batch = 8, .seed = 3});

  const Net plain = fresh();
  const TrainingMode training(true);
  std::vector<Tensor> first, second;
  data::DataLoader loader(images, {.batch = 8, .seed = 3});
  for (const auto& batch : loader) {
    first.push_back(plain.conv(batch.images).detach());
    const nn::BatchNorm2d& bn = plain.bn;
    const Tensor normalised = batch_norm(first.back(), bn.weight, bn.bias, Tensor::zeros({4}), Tensor::ones({4}));
    second.push_back(plain.head(mean(relu(normalised), {1, 2})).detach());
  }
  REQUIRE(first.size() == 3);
  REQUIRE(first[2].size(0) == 5);
  Statistics(first).check(net.bn);
  Statistics(second).check(net.last);
}

TEST_CASE("recalibrate_bn: parameters, other buffers, flags and the random state stay") {
  const Images images(20);
  Net net = fresh();
  net.bn.eval();
  net.bn.attributes.frozen = true;
  const auto parameters = net.parameters();
  std::vector<Tensor> before;
  for (const auto& p : parameters) before.push_back(p.value.tensor().clone());
  const uint64_t position = default_random().position();
  recalibrate_bn(net, images);
  CHECK(default_random().position() == position);
  CHECK(net.training());
  CHECK(!net.bn.training());
  for (size_t i = 0; i < parameters.size(); ++i) {
    CHECK_SAME(parameters[i].value.tensor().detach(), before[i]);
    CHECK(!parameters[i].value.tensor().grad().defined());
  }
  CHECK(net.bn.running_mean.tensor().at({0}) != 9);
}

TEST_CASE("recalibrate_bn: the same bits whatever the workers and threads, and what was there before") {
  const Images images(50);
  const int before = threads();
  Net expected = fresh();
  recalibrate_bn(expected, images, {.batch = 16, .batches = 2, .seed = 1});
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    Net net = expected;
    recalibrate_bn(net, images, {.batch = 16, .batches = 2, .seed = 1, .workers = count - 1});
    check_same(net, values_of(expected));
  }
  set_threads(before);
  Net other = expected;
  recalibrate_bn(other, images, {.batch = 16, .batches = 2, .seed = 2});
  CHECK(!test::difference(other.bn.running_mean, expected.bn.running_mean, 0, 0).empty());
}

TEST_CASE("recalibrate_bn: a normalisation that runs twice has the values of both calls") {
  struct Twice : nn::Module {
    nn::BatchNorm2d bn{2};
    SINTER_CHILDREN(bn)
    Tensor forward(const Tensor& x) const override { return bn(x) + bn(x * 3.0); }
  };
  const Images images(6);
  Twice net;
  recalibrate_bn(net, images, {.batch = 6});
  data::DataLoader loader(images, {.batch = 6});
  const Tensor x = (*loader.begin()).images;
  Statistics({x, x * 3.0}).check(net.bn);
}

TEST_CASE("recalibrate_bn: everything else behaves as in evaluation") {
  struct Watching : nn::Module {
    nn::BatchNorm2d bn{2};
    SINTER_CHILDREN(bn)
    Tensor forward(const Tensor& x) const override {
      CHECK(!training_mode());
      CHECK(!grad_enabled());
      return bn(x);
    }
  };
  Watching net;
  const TrainingMode training(true);
  recalibrate_bn(net, Images(9), {.batch = 3});
  CHECK(training_mode());
}

TEST_CASE("recalibrate_bn: a network whose statistics are lost is as good as it was") {
  const Images images(64);
  Net net = fresh();
  net.last.attributes.momentum = 0.1;
  nn::fit(net, images, {.epochs = 20, .batch = 32, .progress = false});
  recalibrate_bn(net, images, {.batch = 32});
  const double loss = nn::evaluate(net, images).loss;
  for (const nn::BatchNorm2d* bn : {&net.bn, &net.last}) {
    Tensor(bn->running_mean.tensor()).copy_from(Tensor::full(bn->running_mean.tensor().shape(), 30));
    Tensor(bn->running_var.tensor()).copy_from(Tensor::full(bn->running_var.tensor().shape(), 0.01));
  }
  CHECK(nn::evaluate(net, images).loss > 2 * loss);
  recalibrate_bn(net, images, {.batch = 32});
  CHECK(nn::evaluate(net, images).loss == loss);
}

TEST_CASE("recalibrate_bn: what cannot be is an error that changes nothing") {
  Net net = fresh();
  const auto before = values_of(net);
  Images odd(20);
  for (const float value : {NAN, INFINITY}) {
    odd.odd = value;
    CHECK_ERROR(recalibrate_bn(net, odd, {.batch = 10}), "recalibrate_bn: bn.running_mean would be ");
    CHECK_ERROR(recalibrate_bn(net, odd, {.batch = 10}), "the images or the model's values are not finite");
  }
  odd.odd = 1e30f;  // its square is no float
  CHECK_ERROR(recalibrate_bn(net, odd, {.batch = 10}), "recalibrate_bn: bn.running_var would be inf in channel ");
  CHECK_ERROR(recalibrate_bn(net, Images(0)), "the dataset is empty");
  CHECK_ERROR(recalibrate_bn(net, Images(20), {.batch = 0}), "batch is 0");
  // The last batch is of one image, and `last` normalises over images alone.
  CHECK_ERROR(recalibrate_bn(net, Images(21), {.batch = 10}),
              "expected more than one value a channel; where it is the last batch");
  check_same(net, before);

  nn::Conv2d conv{{.in = 2, .out = 4, .kernel = 3}};
  CHECK_ERROR(recalibrate_bn(conv, Images(4)), "runs no batch normalisation");
  PreparedModel folded = prepare_qat(net, Tensor::zeros({1, 4, 4, 2}));
  folded.set_state(FakeQuantState::calibration);
  CHECK_ERROR(recalibrate_bn(folded, Images(4)), "runs no batch normalisation; is it folded into the convolutions");
  PreparedModel trained = prepare_qat(net, Tensor::zeros({1, 4, 4, 2}), {.batch_norm = "with_bn"});
  for (const FakeQuantState state : {FakeQuantState::calibration, FakeQuantState::validation}) {
    trained.set_state(state);
    trained.forward(Tensor::zeros({1, 4, 4, 2}));
    CHECK_ERROR(recalibrate_bn(trained, Images(4)), "or a prepared model that is not in FakeQuantState::qat (set_fake");
  }
  struct Forgot : nn::Module {
    nn::BatchNorm2d bn{2};
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override { return bn(x); }
  };
  Forgot forgot;
  CHECK_ERROR(recalibrate_bn(forgot, Images(4)), "used in batch_norm but not in the module tree: list it");
  for (Parameter* frozen : {&forgot.bn.weight, &forgot.bn.bias}) frozen->tensor().set_requires_grad(false);
  CHECK_ERROR(recalibrate_bn(forgot, Images(4)),
              "recalibrate_bn: running statistics [2] are used but not in the module tree: list them in "
              "SINTER_CHILDREN");
}
