// The whole flow on a slice of the real data.

#include "../../bpu/compare.h"
#include "../../bpu/compile.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/random.h"
#include "../../data/data_loader.h"
#include "../../data/fashion_mnist.h"
#include "../../nn/fit.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../../nn/models/mobilenet.h"
#include "../../nn/models/resnet.h"
#include "../../quant/post_training/adaround.h"
#include "../../quant/post_training/bias_correction.h"
#include "../../quant/post_training/mixed_precision.h"
#include "../support.h"

using namespace sinter;

namespace {

struct Net : nn::Module {
  nn::Conv2d stem{{.in = 1, .out = 8, .kernel = 3, .stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::BasicBlock first{{.in = 8, .out = 8}}, second{{.in = 8, .out = 16, .stride = 2}};
  nn::Linear head{{.in = 16, .out = 10}};
  SINTER_CHILDREN(stem, bn, first, second, head)
  Tensor forward(const Tensor& x) const override { return head(mean(second(first(relu(bn(stem(x))))), {1, 2})); }
};

struct Accuracies {
  double trained, calibrated, qat, bpu;
  bool operator==(const Accuracies&) const = default;
};

Accuracies flow(const quant::March& march) {
  const auto train = data::fashion_mnist("train").take(3000), test = data::fashion_mnist("test").take(500);
  manual_seed(7);
  Net net;
  nn::fit(net, train, {.epochs = 3, .batch = 64, .seed = 7, .progress = false});
  const double trained = nn::evaluate(net, test).accuracy;

  const auto config = quant::get_default_qconfig({.activation_observer = "percentile"});
  auto calibrated = quant::prepare_qat(net, test[0].image, {.qconfig = config, .march = march});
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(train, {.batch = 64, .batches = 10})) calibrated(batch.images);
  quant::set_fake_quantize(calibrated, quant::FakeQuantState::validation);
  const double before = nn::evaluate(calibrated, test).accuracy;

  auto qat = quant::prepare_qat(net, test[0].image, {.march = march});
  quant::load_observer_params(calibrated, qat);
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  nn::fit(qat, train,
          {.batch = 64, .optimizer = optim::SGD{{.lr = 0.002, .momentum = 0.9}}, .seed = 7, .progress = false});
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  const double after = nn::evaluate(qat, test).accuracy;

  const bpu::Simulator simulator(bpu::compile(qat));
  const auto comparison = bpu::compare(qat, simulator, test);
  CHECK(comparison.images == 500);
  CHECK_MESSAGE(comparison.differing == 0, to_string(comparison));
  return {trained, before, after, nn::evaluate(simulator, test).accuracy};
}

}  // namespace

TEST_CASE("a network keeps its accuracy from float to the integer program, run after run") {
  const Accuracies found = flow(quant::March::bayes);
  CHECK(found.trained > 60);
  CHECK(std::abs(found.calibrated - found.trained) <= 3);
  CHECK(found.qat >= found.trained - 3);
  CHECK(found.bpu == found.qat);
  CHECK(flow(quant::March::bayes) == found);
}

namespace {

// A step of training; then the integers in validation, in the simulator and for the witness are the same. How many of
// the fused graph's nodes have that name.
int compared_after_a_step(const nn::Module& net, const data::Dataset& images, const std::string& counted) {
  auto qat = quant::prepare_qat(net, images[0].image, {.march = quant::March::bayes});
  nn::fit(qat, images, {.batch = 12, .optimizer = optim::SGD{{.lr = 0.002}}, .progress = false});
  quant::set_fake_quantize(qat, quant::FakeQuantState::validation);
  const bpu::Simulator simulator(bpu::compile(qat));
  const auto comparison = bpu::compare(qat, simulator, images);
  CHECK_MESSAGE(comparison.differing == 0, to_string(comparison));
  CHECK(comparison.compared > images.size() * 50000);
  CHECK(bpu::compare(bpu::Reference(simulator.program()), simulator, images, {.batch = 2, .batches = 1}).differing ==
        0);
  int found = 0;
  for (const Node& node : qat.graph().nodes) found += node.op->name() == counted;
  return found;
}

}  // namespace

TEST_CASE("deployed networks after a step of training have one set of integers") {
  manual_seed(3);
  const auto images = data::fashion_mnist("train").take(24);
  // Every activation is its convolution's.
  CHECK(compared_after_a_step(nn::cifar_mobilenet_v2({.in_channels = 1, .classes = 10, .width = 0.25}), images,
                              "relu6") == 0);
  CHECK(compared_after_a_step(nn::cifar_mobilenet_v1({.in_channels = 1, .classes = 10, .width = 0.25}), images,
                              "relu") == 0);
  const nn::ResNet narrow(nn::ResNetBlock::bottleneck, {1, 2, 1, 1}, {.in_channels = 1, .classes = 10});
  CHECK(compared_after_a_step(narrow, images.take(12), "add") == 0);  // of ResNet-50's blocks
}

TEST_CASE("learned roundings, mixed precisions and corrected biases are the same integers in the simulator") {
  const auto images = data::fashion_mnist("train").take(64);
  manual_seed(5);
  const Net net;
  const auto bits = [](const char* dtype) {
    return quant::get_default_qconfig({.activation_qkwargs = {{"dtype", dtype}}, .weight_qkwargs = {{"dtype", dtype}}});
  };
  const quant::PrepareOptions low{.qconfig = bits("int4"), .march = quant::March::bayes};
  const auto mixed = quant::mixed_precision(
      net, images[0].image, images, {.prepare = low, .target = quant::Cost::noise, .allowed = 0.003, .batch = 32});
  CHECK(mixed.reached);
  CHECK(!mixed.by_path.empty());
  quant::PrepareOptions options = low;
  options.by_path = mixed.by_path;
  auto rounded = quant::prepare_qat(net, images[0].image, options);
  quant::set_fake_quantize(rounded, quant::FakeQuantState::calibration);
  for (const auto& batch : data::DataLoader(images)) rounded(batch.images);
  quant::set_fake_quantize(rounded, quant::FakeQuantState::validation);
  auto corrected = rounded;
  int64_t changed = 0;
  for (const auto& layer : quant::adaround(rounded, images, {.batch = 32, .iterations = 20, .lr = 0.1}))
    changed += layer.changed;
  CHECK(changed > 10);
  quant::correct_bias(corrected, images, {.batch = 32});
  for (const auto* model : {&rounded, &corrected}) {
    const bpu::Simulator simulator(bpu::compile(*model));
    const auto comparison = bpu::compare(*model, simulator, images);
    CHECK_MESSAGE(comparison.differing == 0, to_string(comparison));
    CHECK(bpu::compare(bpu::Reference(simulator.program()), simulator, images.take(4)).differing == 0);
  }
}

TEST_CASE("the flow on powers of two") {
  const Accuracies found = flow(quant::March::bernoulli);
  CHECK(found.qat >= found.trained - 5);
  CHECK(found.bpu == found.qat);
}
