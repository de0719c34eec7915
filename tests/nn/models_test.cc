#include <doctest/doctest.h>

#include <cmath>

#include "../../core/random.h"
#include "../../nn/models/mobilenet.h"
#include "../../nn/models/resnet.h"
#include "../support.h"

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

TEST_CASE("models halve an image as often as their names say") {
  const auto last = [](const nn::Module& model, int64_t size) {
    const Graph graph = trace(model, Tensor::zeros({1, size, size, 3}));
    for (const Node& node : graph.nodes)
      if (node.op->name() == "mean") return graph.spec(node.inputs[0]).shape;
    fail("no mean");
  };
  CHECK(last(nn::resnet18(), 224) == Shape{1, 7, 7, 512});
  CHECK(last(nn::resnet50(), 224) == Shape{1, 7, 7, 2048});
  CHECK(last(nn::mobilenet_v1(), 224) == Shape{1, 7, 7, 1024});
  CHECK(last(nn::cifar_mobilenet_v1(), 32) == Shape{1, 4, 4, 1024});
  CHECK(last(nn::mobilenet_v2(), 224) == Shape{1, 7, 7, 1280});
  CHECK(last(nn::cifar_mobilenet_v2(), 32) == Shape{1, 4, 4, 1280});
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
}
