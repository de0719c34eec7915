#include <doctest/doctest.h>

#include <cmath>

#include "../../core/random.h"
#include "../../nn/models/densenet.h"
#include "../../nn/models/efficientnet.h"
#include "../../nn/models/mobilenet.h"
#include "../../nn/models/preact_resnet.h"
#include "../../nn/models/resnet.h"
#include "../../nn/models/shufflenet.h"
#include "../../nn/models/vision_transformer.h"
#include "training.h"

using namespace sinter;

namespace {

int64_t count(const std::vector<NamedParameter>& parameters) {
  int64_t elements = 0;
  for (const auto& parameter : parameters) elements += parameter.value.tensor().elements();
  return elements;
}

// The values of golden/layers.py.
void fill(const nn::Module& model) {
  int64_t k = 0;
  for (const auto& parameter : model.named_state()) {
    Tensor t = parameter.value.tensor();
    ++k;
    const bool one = parameter.name.ends_with("var") || parameter.name.ends_with("weight");
    const double scale = t.rank() > 1 ? std::sqrt(24.0 / static_cast<double>(t.elements() / t.size(0))) : 0.2;
    const double offset = t.rank() == 1 && one ? 1 : 0;
    float* values = t.mutable_data<float>();
    for (int64_t i = 0; i < t.elements(); ++i)
      values[i] =
          static_cast<float>(scale * (static_cast<double>((i * 7919 + k * 104729) % 1009) / 1009 - 0.5) + offset);
  }
}

test::GoldenCase golden_case(const std::string& name) {
  for (auto& c : test::golden("layers"))
    if (c.name == name) return c;
  fail("no golden case ", name);
}

}  // namespace

TEST_CASE("the models have the parameters of the paper") {
  // 3x3 convolutions, batch normalisations, projections and head of section 4.2, option B.
  const auto cifar = [](int64_t n, int64_t in, int64_t classes, int64_t first = 16) {
    int64_t total = 9 * in * first + 2 * first + 4 * first * classes + classes;
    int64_t from = first;
    for (const int64_t c : {first, 2 * first, 4 * first}) {
      total += 9 * from * c + (2 * n - 1) * 9 * c * c + 2 * n * 2 * c;
      if (from != c) total += from * c + 2 * c;
      from = c;
    }
    return total;
  };
  CHECK(cifar(3, 3, 10) == 272474);
  CHECK(count(nn::resnet20().parameters()) == 272474);
  CHECK(count(nn::resnet20({.in_channels = 1}).parameters()) == 272474 - 2 * 9 * 16);
  CHECK(count(nn::resnet32({.classes = 100}).parameters()) == cifar(5, 3, 100));
  CHECK(count(nn::resnet56().parameters()) == cifar(9, 3, 10));
  CHECK(count(nn::resnet20({.channels = 8}).parameters()) == cifar(3, 3, 10, 8));
  CHECK(count(nn::resnet18().parameters()) == 11689512);
  CHECK(count(nn::resnet18().named_state()) == 11689512 + 9600);  // 4800 normalised channels
  CHECK(count(nn::resnet50().parameters()) == 25557032);
  CHECK(count(nn::resnet50().named_state()) == 25557032 + 53120);
  for (const auto& [width, parameters] :
       {std::pair{1.0, 4231976}, std::pair{0.75, 2585560}, std::pair{0.5, 1331592}, std::pair{0.25, 470072}})
    CHECK(count(nn::mobilenet_v1({.width = width}).parameters()) == parameters);  // Keras' alpha
  CHECK(count(nn::mobilenet_v2().parameters()) == 3504872);
  CHECK(count(nn::mobilenet_v2({.width = 0.5}).parameters()) == 1968680);  // torchvision's width_mult
  CHECK(count(nn::mobilenet_v3_small().parameters()) == 2542856);
  // torchvision's efficientnet_b0 and b2.
  CHECK(count(nn::efficientnet_b0().parameters()) == 5288548);
  CHECK(count(nn::efficientnet_b0({.width = 1.1, .depth = 1.2}).parameters()) == 9109994);
  // torchvision's shufflenet_v2_x1_0 and x0_5.
  CHECK(count(nn::shufflenet_v2().parameters()) == 2278604);
  CHECK(count(nn::shufflenet_v2({.channels = {48, 96, 192, 1024}}).parameters()) == 1366792);
  // As ResNet-18 without the batch normalisations of its projections.
  CHECK(count(nn::preact_resnet18().parameters()) == 11689512 - 2 * (128 + 256 + 512));
  CHECK(count(nn::cifar_preact_resnet18().parameters()) == 11172170);
  CHECK(count(nn::densenet40().parameters()) == 1019722);
  // DeiT-Ti's, without the class' token and its position.
  CHECK(count(nn::vit_tiny().parameters()) == 5717416 - 2 * 192);
  CHECK(count(nn::cifar_vit({.classes = 100}).parameters()) ==
        (3 * 16 + 1) * 192 + 64 * 192 + 6 * (4 * 193 * 192 + 193 * 768 + 769 * 192 + 4 * 192) + 2 * 192 + 193 * 100);
}

TEST_CASE("the models compute what PyTorch's compute") {
  const auto same = [](const std::string& name, auto model) {
    fill(model);
    model.eval();
    CHECK_GOLDEN(golden_case(name), [&](const Tensor& x) { return model(x); }, {.rtol = 1e-4, .atol = 1e-4});
  };
  same("cifar", nn::CifarResNet(1));
  same("imagenet", nn::resnet18({.in_channels = 2, .classes = 5}));
  same("imagenet with bottlenecks",
       nn::ResNet(nn::ResNetBlock::bottleneck, {1, 2, 1, 1}, {.in_channels = 2, .classes = 5}));
  same("mobilenet", nn::mobilenet_v2({.in_channels = 2, .classes = 5}));
  same("mobilenet v1", nn::mobilenet_v1({.in_channels = 2, .classes = 5, .width = 0.5}));
  same("mobilenet v3", nn::mobilenet_v3_small({.in_channels = 2, .classes = 5}));
  same("efficientnet", nn::efficientnet_b0({.in_channels = 2, .classes = 5}));
  same("shufflenet", nn::shufflenet_v2({.in_channels = 2, .classes = 5}));
  same("preact", nn::preact_resnet18({.in_channels = 2, .classes = 5}));
  same("preact cifar", nn::cifar_preact_resnet18({.in_channels = 2, .classes = 5, .channels = 8}));
  same("densenet", nn::CifarDenseNet(3, {.in_channels = 2, .classes = 5}));
  same("vision transformer", nn::VisionTransformer({.in_channels = 2,
                                                    .classes = 5,
                                                    .image = {8, 12},
                                                    .patch = 4,
                                                    .channels = 12,
                                                    .depth = 2,
                                                    .heads = 3,
                                                    .hidden = 24}));
}

TEST_CASE("a model's layers are found by name, and its trace has them all") {
  const nn::CifarResNet net = nn::resnet20({.in_channels = 1});
  const Graph graph = trace(net, Tensor::zeros({1, 28, 28, 1}));
  CHECK(graph.parameters.size() == net.named_state().size());
  for (const char* name : {"stem", "bn", "body.0.conv1", "body.3.shortcut.conv", "body.8.bn2", "head"})
    CHECK_MESSAGE(graph.find(name) >= 0, name);
  CHECK(graph.outputs.size() == 1);
  CHECK(graph.spec(graph.outputs[0]).shape == Shape{1, 10});

  const Tensor x = test::normal({3, 28, 28, 1});
  const nn::ModeOverride evaluation(false);
  CHECK_SAME(graph(x), net(x));
}

TEST_CASE("models halve an image as often as their names say, and give so many logits") {
  const auto before_head = [](const nn::Module& model, int64_t size) {
    const Graph graph = trace(model, Tensor::zeros({1, size, size, 3}));
    CHECK(graph.spec(graph.outputs[0]).shape == Shape{1, size == 224 ? 1000 : 10});
    Shape found;
    for (const Node& node : graph.nodes)
      if (node.op->name() == "mean") found = graph.spec(node.inputs[0]).shape;
    return found;
  };
  CHECK(before_head(nn::resnet18(), 224) == Shape{1, 7, 7, 512});
  CHECK(before_head(nn::resnet50(), 224) == Shape{1, 7, 7, 2048});
  CHECK(before_head(nn::mobilenet_v1(), 224) == Shape{1, 7, 7, 1024});
  CHECK(before_head(nn::cifar_mobilenet_v1(), 32) == Shape{1, 4, 4, 1024});
  CHECK(before_head(nn::mobilenet_v2(), 224) == Shape{1, 7, 7, 1280});
  CHECK(before_head(nn::cifar_mobilenet_v2(), 32) == Shape{1, 4, 4, 1280});
  CHECK(before_head(nn::mobilenet_v3_small(), 224) == Shape{1, 7, 7, 576});
  CHECK(before_head(nn::cifar_mobilenet_v3_small(), 32) == Shape{1, 4, 4, 576});
  CHECK(before_head(nn::efficientnet_b0(), 224) == Shape{1, 7, 7, 1280});
  CHECK(before_head(nn::cifar_efficientnet_b0(), 32) == Shape{1, 4, 4, 1280});
  CHECK(before_head(nn::shufflenet_v2(), 224) == Shape{1, 7, 7, 1024});
  CHECK(before_head(nn::cifar_shufflenet_v2(), 32) == Shape{1, 4, 4, 1024});
  CHECK(before_head(nn::preact_resnet18(), 224) == Shape{1, 7, 7, 512});
  CHECK(before_head(nn::cifar_preact_resnet18(), 32) == Shape{1, 4, 4, 512});
  CHECK(before_head(nn::densenet40(), 32) == Shape{1, 8, 8, 448});
  CHECK(before_head(nn::vit_tiny(), 224) == Shape{1, 196, 192});
  CHECK(before_head(nn::cifar_vit(), 32) == Shape{1, 64, 192});
}

TEST_CASE("a few steps lower every model's loss") {
  const test::Batch batch(4);
  const auto trains = [&](const nn::Module& model) {
    const auto loss = [&] { return cross_entropy(model(batch.images), batch.labels).item(); };
    const float before = loss();
    auto step = test::training([&](const Tensor& x) { return model(x); }, model.parameters(), {batch});
    for (int i = 0; i < 8; ++i) step(i);
    CHECK(loss() < 0.8f * before);
  };
  manual_seed(5);
  trains(nn::cifar_mobilenet_v3_small({.classes = 10, .width = 0.5, .dropout = 0}));
  trains(nn::cifar_efficientnet_b0({.classes = 10, .width = 0.25, .depth = 0.5, .dropout = 0}));
  trains(nn::cifar_shufflenet_v2({.classes = 10, .channels = {16, 32, 64, 64}}));
  trains(nn::cifar_preact_resnet18({.classes = 10, .channels = 8}));
  trains(nn::CifarDenseNet(3, {.growth = 8}));
  trains(nn::VisionTransformer(
      {.classes = 10, .image = 16, .patch = 4, .channels = 24, .depth = 2, .heads = 3, .hidden = 48}));
}

TEST_CASE("models drop what their options say in training only") {
  const Tensor x = test::normal({2, 16, 16, 3});
  const auto drops = [&](const nn::Module& model) {
    nn::ModeOverride evaluation(false);
    CHECK_SAME(model(x), model(x));
    nn::ModeOverride training(true);
    CHECK_FALSE(test::difference(model(x), model(x)).empty());
  };
  drops(nn::cifar_mobilenet_v3_small({.width = 0.25}));
  drops(nn::cifar_efficientnet_b0({.width = 0.25}));
}

TEST_CASE("a deep model's blocks are found by name") {
  const Graph graph = trace(nn::resnet50(), Tensor::zeros({1, 32, 32, 3}));
  for (const char* name : {"body.0.conv1", "body.0.shortcut.conv", "body.3.conv2", "body.15.bn3"})
    CHECK_MESSAGE(graph.find(name) >= 0, name);
}

TEST_CASE("a seed fixes a model") {
  const auto state = [](uint64_t seed) {
    manual_seed(seed);
    return nn::CifarResNet(1).named_state();
  };
  const auto a = state(1), b = state(1), c = state(2);
  for (size_t i = 0; i < a.size(); ++i) CHECK_SAME(a[i].value.tensor(), b[i].value.tensor());
  CHECK(!test::difference(a[0].value.tensor(), c[0].value.tensor(), 0, 0).empty());
}

TEST_CASE("a model says where an input does not fit") {
  const nn::CifarResNet net = nn::resnet20({.in_channels = 1});
  CHECK_ERROR(net(Tensor::zeros({1, 28, 28, 3})), "(in stem)");
  CHECK_ERROR(nn::CifarResNet(0), "ResNet: a stage has 0 blocks, expected at least 1");
  CHECK_ERROR(nn::ResNet(nn::ResNetBlock::bottleneck, {1, 0, 1, 1}), "ResNet: a stage has 0 blocks");
  CHECK_ERROR(nn::mobilenet_v1({.width = 17}), "MobileNetV1: width is 17, expected above 0, at most 16");
  CHECK_ERROR(nn::mobilenet_v2({.width = 0}), "MobileNetV2: width is 0, expected above 0, at most 16");
  CHECK_ERROR(nn::mobilenet_v3_small({.width = 0}), "MobileNetV3Small: width is 0, expected above 0, at most 16");
  CHECK_ERROR(nn::mobilenet_v3_small({.dropout = 1}), "dropout: p is 1");
  CHECK_ERROR(nn::efficientnet_b0({.width = 17}), "EfficientNet: width is 17, expected above 0, at most 16");
  CHECK_ERROR(nn::efficientnet_b0({.depth = 0}), "EfficientNet: depth is 0, expected above 0, at most 16");
  CHECK_ERROR(nn::shufflenet_v2({.channels = {48, 97, 192, 1024}}),
              "ShuffleUnit: it has 97 output channels, expected an even number");
  CHECK_ERROR(nn::PreActResNet(nn::PreActStem::cifar, {1, 0, 1, 1}), "PreActResNet: a stage has 0 blocks");
  CHECK_ERROR(nn::CifarDenseNet(0), "DenseBlock: it has 0 layers, expected at least 1");
  CHECK_ERROR(nn::VisionTransformer({.image = 30, .patch = 4}),
              "VisionTransformer: patches of 4x4 do not divide an image of 30x30");
  CHECK_ERROR(nn::VisionTransformer({.image = 32, .patch = 4, .heads = 5}),
              "MultiHeadAttention: 5 heads do not divide 192 channels");
  CHECK_ERROR(nn::VisionTransformer({.image = 32, .patch = 4, .depth = 0}),
              "VisionTransformer: it has 0 blocks, expected at least 1");
  CHECK_ERROR(nn::VisionTransformer({.image = 32, .patch = 0}), "Conv2d: kernel is 0x0, expected at least 1");
  CHECK_ERROR(nn::cifar_vit()(Tensor::zeros({1, 32, 28, 3})),
              "VisionTransformer: input is [1,32,28,3], expected images of 32x32");
  CHECK_ERROR(nn::cifar_vit()(Tensor::zeros({1, 32, 32, 1})), "(in patches)");
}
