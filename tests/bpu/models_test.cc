// The networks of nn/models, small: a few steps in float, calibration, the gradient of QAT beside float's, a few
// steps of QAT, and the integers of VALIDATION, of the simulator and of the witness. Nothing is in float but softmax
// and layer normalisation.

#include "../../nn/models/densenet.h"
#include "../../nn/models/efficientnet.h"
#include "../../nn/models/mobilenet.h"
#include "../../nn/models/preact_resnet.h"
#include "../../nn/models/shufflenet.h"
#include "../../nn/models/vision_transformer.h"
#include "../nn/training.h"
#include "agreement.h"

using namespace sinter;

namespace {

struct Flow {
  int64_t images = 4, size = 16;
  int steps = 3, qat_steps = 2;
  std::vector<quant::March> marches{quant::March::bayes, quant::March::bernoulli};
  std::map<std::string, quant::QConfig> by_type{};
};

const std::map<std::string, quant::QConfig> kTransformer{{"softmax", quant::run_in_float()},
                                                         {"layer_norm", quant::run_in_float()}};

void check_finite(const Tensor& y) {
  for (const float v : y.values<float>()) CHECK(std::isfinite(v));
}

Tensor input_gradient(const nn::Module& model, const test::Batch& batch) {
  Tensor x = batch.images.clone();
  x.set_requires_grad(true);
  const nn::ModeOverride evaluation(false);
  cross_entropy(model(x), batch.labels).backward();
  return x.grad();
}

double cosine(const Tensor& a, const Tensor& b) {
  const auto dot = [](const Tensor& x, const Tensor& y) {
    double sum = 0;
    for (int64_t i = 0; i < x.elements(); ++i)
      sum += static_cast<double>(x.data<float>()[i]) * static_cast<double>(y.data<float>()[i]);
    return sum;
  };
  return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

void check_flow(const nn::Module& net, const Flow& flow) {
  test::Batch batch(flow.images);
  batch.images = test::normal({flow.images, flow.size, flow.size, 3});
  const auto train = [&](const nn::Module& model, int steps) {
    auto step = test::training([&](const Tensor& x) { return model(x); }, model.parameters(), {batch});
    for (int i = 0; i < steps; ++i) step(i);
  };
  train(net, flow.steps);
  // Both ways that batch normalisation goes.
  const char* batch_norm = "fuse_bn";
  for (const quant::March& march : flow.marches) {
    CAPTURE(march.name);
    CAPTURE(std::string(batch_norm));
    auto model =
        quant::prepare_qat(net, batch.images, {.by_type = flow.by_type, .batch_norm = batch_norm, .march = march});
    for (size_t i = 0; i < model.graph().nodes.size(); ++i)
      CHECK(model.in_float(i) == flow.by_type.contains(std::string(model.graph().nodes[i].op->name())));
    quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
    for (int i = 0; i < 2; ++i) model(batch.images);
    quant::set_fake_quantize(model, quant::FakeQuantState::qat);
    CHECK(cosine(input_gradient(model, batch), input_gradient(net, batch)) > 0.7);
    train(model, flow.qat_steps);
    const Tensor y = test::check_agreement(model, batch.images);
    check_finite(y);
    CHECK_FALSE(test::difference(test::first_images(y, 1), Tensor::zeros({1, y.size(1)})).empty());
    batch_norm = "with_bn";
  }
}

}  // namespace

TEST_CASE("pre-activation residual networks have the same integers for all") {
  check_flow(nn::cifar_preact_resnet18({.classes = 10, .channels = 8}), {});
  check_flow(nn::PreActResNet(nn::PreActStem::imagenet, {1, 1, 1, 1}, {.classes = 5, .channels = 8}), {.size = 32});
}

TEST_CASE("densely connected networks have the same integers for all") {
  check_flow(nn::CifarDenseNet(3, {.growth = 4, .channels = 8}), {.size = 12});
}

TEST_CASE("networks of inverted residuals with squeeze and excitation have the same integers for all") {
  check_flow(nn::cifar_mobilenet_v3_small({.classes = 10, .width = 0.25}), {});
  check_flow(nn::cifar_efficientnet_b0({.classes = 10, .width = 0.25, .depth = 0.5}), {.images = 2});
}

TEST_CASE("shuffled networks have the same integers for all") {
  check_flow(nn::cifar_shufflenet_v2({.classes = 10, .channels = {16, 32, 64, 64}}), {});
}

TEST_CASE("vision transformers have the same integers for all, with softmax and layer normalisation in float") {
  const nn::VisionTransformer net(
      {.classes = 10, .image = 16, .patch = 4, .channels = 24, .depth = 2, .heads = 3, .hidden = 48});
  check_flow(net, {.by_type = kTransformer});
  CHECK_ERROR(quant::prepare_qat(net, Tensor::zeros({1, 16, 16, 3})), "set it to float (quant::run_in_float)");
}

TEST_CASE("the networks of full size have the same integers for all" * doctest::test_suite("slow")) {
  const Flow large{.images = 2, .size = 224, .steps = 1, .qat_steps = 1, .marches = {quant::March::bayes}};
  Flow small = large;
  small.size = 32;
  Flow transformer = large, small_transformer = small;
  transformer.by_type = small_transformer.by_type = kTransformer;
  check_flow(nn::preact_resnet18(), large);
  check_flow(nn::mobilenet_v3_small(), large);
  check_flow(nn::efficientnet_b0(), large);
  check_flow(nn::shufflenet_v2(), large);
  check_flow(nn::vit_tiny(), transformer);
  check_flow(nn::cifar_preact_resnet18(), small);
  check_flow(nn::densenet40(), small);
  check_flow(nn::cifar_mobilenet_v3_small(), small);
  check_flow(nn::cifar_efficientnet_b0(), small);
  check_flow(nn::cifar_shufflenet_v2(), small);
  check_flow(nn::cifar_vit(), small_transformer);
}
