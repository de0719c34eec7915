#include "../../../quant/post_training/channels.h"

#include "../../../core/ops/avg_pool2d.h"
#include "../../../core/ops/reshape.h"
#include "../../../nn/layers/max_pool2d.h"
#include "../../../quant/fuse.h"
#include "../networks.h"

using namespace sinter;
using quant::Channels;

namespace {

Operand node(const Graph& graph, const std::string& name) {
  REQUIRE(graph.find(name) >= 0);
  return {Operand::Kind::node, graph.find(name)};
}

std::vector<size_t> classes(const Graph& graph, const Channels& channels, const std::string& name) {
  return channels.of(node(graph, name));
}

std::string pinned(const Graph& graph, const Channels& channels, const std::string& name) {
  return channels.pinned(classes(graph, channels, name).at(0));
}

template <class Model>
Graph fused(const Model& model, const Shape& input = {1, 4, 4, 3}) {
  return quant::fuse(trace(model, Tensor::zeros(input)));
}

}  // namespace

TEST_CASE("additions tie the channels of a residual network's trunk; every other convolution has its own") {
  const Graph graph = fused(test::SmallNet{});
  const Channels channels(graph);
  const auto stem = classes(graph, channels, "stem"), first = classes(graph, channels, "body.0.conv1"),
             second = classes(graph, channels, "body.0.conv2");
  CHECK(stem.size() == 8);
  for (size_t c = 1; c < 8; ++c) CHECK(stem[c] != stem[0]);
  CHECK(second == stem);
  for (size_t c = 0; c < 8; ++c) CHECK(first[c] != stem[c]);
  CHECK(classes(graph, channels, "body.1.conv2") == classes(graph, channels, "body.1.shortcut.conv"));
  CHECK(classes(graph, channels, "body.1.conv2").size() == 16);
  CHECK(classes(graph, channels, "mean") == classes(graph, channels, "body.1.conv2"));
  for (const char* name : {"stem", "body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2", "mean"}) {
    CAPTURE(std::string(name));
    CHECK(pinned(graph, channels, name).empty());
  }
  CHECK(pinned(graph, channels, "head") == "an output of the network");
  CHECK(channels.pinned(channels.of({Operand::Kind::input, 0}).at(2)) == "an input of the network");
}

TEST_CASE("a residual addition to the network's input pins") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 3, .kernel = 1}}, last{{.in = 3, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(first, last)
    Tensor forward(const Tensor& x) const override { return last(relu(first(x) + x)); }
  };
  const Graph graph = fused(Net{});
  CHECK(pinned(graph, Channels(graph), "first") == "an input of the network");
}

TEST_CASE("flattened images repeat their channels, and a reshape that merges them ties them") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}};
    nn::MaxPool2d pool{{.kernel = 2}};
    nn::Linear head{{.in = 24, .out = 2}};
    SINTER_CHILDREN(conv, pool, head)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = pool(relu(conv(x[0])));
      return {head(flatten(y)), head(reshape(y, {0, -1})), head(flatten(reshape(y, {0, 1, -1, 6})))};
    }
  };
  const auto pattern = [](const std::vector<size_t>& repeated, const std::vector<size_t>& of) {
    for (size_t i = 0; i < repeated.size(); ++i)
      if (repeated[i] != of[i % of.size()]) return false;
    return true;
  };
  // 3x2 pooled images of 4 channels as 24 values, or in rows of 6: those meet modulo 2.
  const Graph graph = fused(Net{}, {1, 6, 4, 3});
  const Channels channels(graph);
  const auto conv = classes(graph, channels, "conv");
  CHECK(conv.size() == 4);
  CHECK(classes(graph, channels, "pool") == conv);
  for (const Node& n : graph.nodes)
    if (n.op->name() == "flatten" || n.op->name() == "reshape") {
      CAPTURE(n.name);
      CHECK(pattern(classes(graph, channels, n.name), conv));
    }
  CHECK(conv[0] == conv[2]);
  CHECK(conv[1] == conv[3]);
  CHECK(conv[0] != conv[1]);
}

TEST_CASE("pooling passes channels on") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}}, last{{.in = 4, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(conv, last)
    Tensor forward(const Tensor& x) const override {
      return last(avg_pool2d(max_pool2d(conv(x), {.kernel = 2}), {.kernel = 2, .stride = 1, .padding = 1}));
    }
  };
  const Graph graph = fused(Net{});
  const Channels channels(graph);
  CHECK(classes(graph, channels, "avg_pool2d") == classes(graph, channels, "conv"));
  CHECK(pinned(graph, channels, "conv").empty());
}

TEST_CASE("a ReLU6 pins what it meets, and so does an operation that nobody here knows") {
  const Graph graph = fused(test::EveryLayer{}, {1, 8, 8, 3});
  const Channels channels(graph);
  CHECK(pinned(graph, channels, "stem") == "the ReLU6 of stem");
  CHECK(pinned(graph, channels, "depthwise") == "the ReLU6 of stem");  // they are added
  CHECK(pinned(graph, channels, "grouped").empty());
  CHECK(pinned(graph, channels, "hidden").empty());

  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}}, last{{.in = 3, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(conv, last)
    Tensor forward(const Tensor& x) const override { return last(call(test::Square{}, conv(x))); }
  };
  const Graph squared = fused(Net{});
  const Channels unknown(squared);
  CHECK(pinned(squared, unknown, "conv") == "square: square is not known to scale with its input");
  CHECK(pinned(squared, unknown, "square") == pinned(squared, unknown, "conv"));

  struct Alone : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}}, last{{.in = 3, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(conv, last)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(conv(x));
      return last(relu6(y + y));
    }
  };
  const Graph alone = fused(Alone{});
  CHECK(pinned(alone, Channels(alone), "conv") == "the ReLU6 relu6");
}

TEST_CASE("channels may be pinned by hand, for the first reason") {
  const Graph graph = fused(test::SmallNet{});
  Channels channels(graph);
  channels.pin(node(graph, "body.0.conv2"), "a reason");
  channels.pin(node(graph, "stem"), "another");
  CHECK(pinned(graph, channels, "stem") == "a reason");
  CHECK(pinned(graph, channels, "body.0.conv1").empty());
}
