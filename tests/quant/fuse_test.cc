#include "../../quant/fuse.h"

#include "../../nn/layers/conv_transpose2d.h"
#include "../../nn/layers/dropout.h"
#include "../../quant/fused_conv.h"
#include "patterns.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::Pattern;

namespace {

using Names = std::vector<std::string>;

const Shape kImages{2, 6, 6, 3};

// `conv`, `other`, `third`: from 3 to 4 channels; `same`: 4 to 4.
struct Layers : nn::Module {
  nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  nn::Conv2d other{{.in = 3, .out = 4, .kernel = 3, .padding = 1}};
  nn::Conv2d third{{.in = 3, .out = 4, .kernel = 1}};
  nn::Conv2d same{{.in = 4, .out = 4, .kernel = 3, .padding = 1}};
  nn::Conv2d square{{.in = 3, .out = 3, .kernel = 1}};
  nn::BatchNorm2d bn{4}, bn2{4};
  nn::Linear head{{.in = 4, .out = 4}};
  SINTER_CHILDREN(conv, other, third, same, square, bn, bn2, head)
};

template <class F>
struct Net final : Layers {
  F f;
  explicit Net(F function) : f(std::move(function)) {}
  Tensor forward(const Tensor& x) const override { return f(static_cast<const Layers&>(*this), x); }
  const std::type_info& members_listed_by() const override { return typeid(Net); }
};

template <class F>
Net<F> net(F f) {
  return test::randomized(Net<F>(std::move(f)));
}

// The fused graph; it computes what the model does in evaluation.
Graph fused(nn::Module& model) {
  model.eval();
  const Tensor x = images(kImages);
  const Graph graph = fuse(trace(model, x));
  CHECK_CLOSE(graph(x), model(x).detach(), 1e-5, 1e-5);
  return graph;
}

Names names(const Graph& graph) {
  Names all;
  for (const Node& node : graph.nodes) all.push_back(node.name);
  return all;
}

const FusedConvAttributes& attributes(const Graph& graph, const std::string& name) {
  const auto* conv = dynamic_cast<const FusedConv*>(graph.nodes.at(static_cast<size_t>(graph.find(name))).op.get());
  REQUIRE(conv != nullptr);
  return conv->attributes;
}

const Node& node(const Graph& graph, const std::string& name) {
  return graph.nodes.at(static_cast<size_t>(graph.find(name)));
}

}  // namespace

TEST_CASE("batch normalisation folds into the convolution before it, which keeps its name") {
  auto model = net([](const Layers& l, const Tensor& x) { return l.bn(l.conv(x)); });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"conv"});
  CHECK(graph.nodes[0].aliases == Names{"bn"});
  CHECK(graph.find("bn") == 0);
  CHECK(attributes(graph, "conv").activation == "none");
  Names parameters;
  for (const auto& parameter : graph.parameters) parameters.push_back(parameter.name);
  CHECK(parameters == Names{"conv.weight", "conv.bias"});
}

TEST_CASE("batch normalisation folds with a bias there is") {
  auto model = net([](const Layers& l, const Tensor& x) { return l.bn(l.other(x)); });
  CHECK(names(fused(model)) == Names{"other"});
}

TEST_CASE("a ReLU and a ReLU6 become part of the convolution") {
  auto model = net([](const Layers& l, const Tensor& x) { return relu(l.bn(l.conv(x))); });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"conv"});
  CHECK(graph.nodes[0].aliases == Names{"bn", "relu"});
  CHECK(attributes(graph, "conv").activation == "relu");

  auto limited = net([](const Layers& l, const Tensor& x) { return relu6(l.other(x) * 20.0); });
  CHECK(names(fused(limited)).back() == "relu6");  // a multiplication is between them
  auto direct = net([](const Layers& l, const Tensor& x) { return relu6(l.other(x)); });
  CHECK(attributes(fused(direct), "other").activation == "relu6");
}

TEST_CASE("only one activation fits into a convolution") {
  auto model = net([](const Layers& l, const Tensor& x) { return relu(relu6(l.other(x))); });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"other", "relu"});
  CHECK(attributes(graph, "other").activation == "relu6");
}

TEST_CASE("a linear layer takes batch normalisation and an activation in") {
  auto model = net([](const Layers& l, const Tensor& x) { return relu(l.bn(l.head(mean(l.conv(x), {1, 2})))); });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"conv", "mean", "head"});
  CHECK(attributes(graph, "head").linear);
  CHECK(attributes(graph, "head").activation == "relu");
  CHECK(node(graph, "head").aliases == Names{"bn", "relu"});
}

TEST_CASE("an addition fuses into the convolution of its last eligible operand") {
  auto both = net([](const Layers& l, const Tensor& x) { return relu(l.bn(l.conv(x)) + l.bn2(l.other(x))); });
  Graph graph = fused(both);
  CHECK(names(graph) == Names{"conv", "other"});
  CHECK(node(graph, "other").inputs.size() == 4);
  CHECK(node(graph, "other").inputs[3] == Operand{Operand::Kind::node, graph.find("conv")});
  CHECK(node(graph, "conv").inputs.size() == 3);
  CHECK(node(graph, "other").aliases == Names{"bn2", "add", "relu"});

  auto first = net([](const Layers& l, const Tensor& x) { return l.square(x) + x; });
  graph = fused(first);
  CHECK(names(graph) == Names{"square"});
  CHECK(graph.nodes[0].inputs[3] == Operand{Operand::Kind::input, 0});

  // The last operand has an activation already.
  auto activated = net([](const Layers& l, const Tensor& x) { return l.conv(x) + relu(l.other(x)); });
  graph = fused(activated);
  CHECK(names(graph) == Names{"other", "conv"});
  CHECK(node(graph, "conv").inputs.size() == 4);
}

TEST_CASE("a residual block") {
  nn::BasicBlock plain = test::randomized(nn::BasicBlock({.in = 3, .out = 3}));
  Graph graph = fused(plain);
  CHECK(names(graph) == Names{"conv1", "conv2"});
  CHECK(node(graph, "conv2").aliases == Names{"bn2", "add", "relu#2"});
  CHECK(attributes(graph, "conv2").activation == "relu");

  nn::BasicBlock wider = test::randomized(nn::BasicBlock({.in = 3, .out = 4, .stride = 2}));
  graph = fused(wider);
  CHECK(names(graph) == Names{"conv1", "conv2", "shortcut.conv"});
  CHECK(node(graph, "shortcut.conv").inputs.size() == 4);
  CHECK(node(graph, "conv2").inputs.size() == 3);
}

TEST_CASE("additions in a row take one convolution each") {
  auto model = net([](const Layers& l, const Tensor& x) {
    const Tensor first = l.conv(x), second = l.other(x), third = l.third(x);
    return first + second + third;
  });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"conv", "other", "third"});
  CHECK(node(graph, "third").inputs.size() == 4);
  CHECK(node(graph, "other").inputs.size() == 4);
}

TEST_CASE("an addition stays one where no convolution can take it") {
  auto twice = net([](const Layers& l, const Tensor& x) {
    const Tensor y = l.conv(x);
    return y + y;
  });
  CHECK(names(fused(twice)) == Names{"conv", "add"});
  auto activated = net([](const Layers& l, const Tensor& x) { return relu(l.conv(x)) + relu(l.other(x)); });
  CHECK(names(fused(activated)) == Names{"conv", "other", "add"});
  auto broadcast = net([](const Layers& l, const Tensor& x) {
    const Tensor y = l.conv(x);
    return y + mean(y, {1, 2}, true);
  });
  CHECK(names(fused(broadcast)) == Names{"conv", "mean", "add"});
  auto constant = net([](const Layers& l, const Tensor& x) { return l.conv(x) + Tensor::ones({1}); });
  CHECK(names(fused(constant)) == Names{"conv", "add"});
  auto linear = net([](const Layers& l, const Tensor& x) {
    const Tensor y = mean(relu(l.conv(x)), {1, 2});
    return l.head(y) + y;
  });
  CHECK(names(fused(linear)) == Names{"conv", "mean", "head"});
}

TEST_CASE("nothing fuses over a value that is read elsewhere") {
  auto before_norm = net([](const Layers& l, const Tensor& x) {
    const Tensor y = l.conv(x);
    return l.bn(y) + l.same(y);
  });
  CHECK(names(fused(before_norm)) == Names{"conv", "bn", "same"});
  auto before_relu = net([](const Layers& l, const Tensor& x) {
    const Tensor y = l.bn(l.conv(x));
    return l.same(y) + relu(y);
  });
  CHECK(names(fused(before_relu)) == Names{"conv", "relu", "same"});
}

TEST_CASE("nothing fuses over an output") {
  struct Two final : Layers {
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = conv(x[0]), z = other(x[0]), v = same(z);
      return {y, bn(y), z, relu(z), v, v + y};
    }
    const std::type_info& members_listed_by() const override { return typeid(Two); }
  };
  Two model = test::randomized(Two{});
  model.eval();
  const Tensor x = images(kImages);
  const Graph graph = fuse(trace(model, x));
  CHECK(names(graph) == Names{"conv", "bn", "other", "relu", "same", "add"});
  const std::vector<Tensor> expected = model({x}), actual = graph.run({x});
  for (size_t i = 0; i < expected.size(); ++i) CHECK_CLOSE(actual[i], expected[i].detach(), 1e-5, 1e-5);
}

TEST_CASE("a convolution that is called twice becomes two with weights of their own") {
  auto model = net([](const Layers& l, const Tensor& x) {
    const Tensor first = relu(l.bn(l.conv(x))), twice = x + x;
    return first + l.bn2(l.conv(twice));
  });
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"add", "conv", "conv#2"});
  CHECK(node(graph, "conv#2").aliases == Names{"bn2", "add#2"});
  const Tensor &first = graph.parameters[static_cast<size_t>(node(graph, "conv").inputs[1].index)].value,
               &second = graph.parameters[static_cast<size_t>(node(graph, "conv#2").inputs[1].index)].value;
  CHECK_FALSE(test::difference(first, second).empty());
}

TEST_CASE("a convolution and a transposed one with the same parameter have weights of their own") {
  struct Tied : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override {
      return conv_transpose2d(relu(conv(x)), conv.weight, {}, {.padding = 1});
    }
  };
  Tied model = test::randomized(Tied{});
  fused(model);  // computes the same
}

TEST_CASE("batch normalisation that is called twice folds into both") {
  auto model = net([](const Layers& l, const Tensor& x) { return l.bn(l.conv(x)) + relu(l.bn(l.other(x))); });
  CHECK(names(fused(model)) == Names{"other", "conv"});
}

TEST_CASE("every layer with weights takes in batch normalisation, an addition and an activation") {
  for (const Pattern& pattern : test::all_patterns()) {
    CAPTURE(pattern.name());
    const Pattern model = test::randomized(pattern);
    const auto x = model.inputs(2);
    Specs specs;
    for (const Tensor& t : x) specs.push_back(t.spec());
    const Tensor expected = model(std::span<const Tensor>(x))[0].detach();
    for (const bool fold : {true, false}) {
      const Graph graph = fuse(trace(model, specs), {.fold_batch_norm = fold});
      REQUIRE(names(graph) == Names{model.layer});
      CHECK(attributes(graph, model.layer).activation == model.activation);
      CHECK((skip_of(graph.nodes[0]) != nullptr) == (model.added > 0));
      CHECK(attributes(graph, model.layer).transposed == (model.layer == "transposed"));
      CHECK_CLOSE(graph.run(x)[0], expected, 1e-5, 1e-5);
    }
  }
}

TEST_CASE("dropout is gone, and what is around it fuses as without") {
  struct Dropping : Layers {
    nn::Dropout early, late;
    Tensor forward(const Tensor& x) const override {
      return late(relu(early(bn(early(conv(early(x))))) + late(other(x))));
    }
    const std::type_info& members_listed_by() const override { return typeid(Dropping); }
    void members(nn::MemberVisitor& visitor) const override {
      Layers::members(visitor);
      visitor.module("early", early);
      visitor.module("late", late);
    }
  };
  Dropping model = test::randomized(Dropping{});
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"conv", "other"});
  CHECK(node(graph, "conv").aliases == Names{"early#2", "bn", "early#3"});  // the first reads the input
  CHECK(attributes(graph, "other").activation == "relu");
  CHECK(graph.outputs[0] == Operand{Operand::Kind::node, graph.find("other")});
}

TEST_CASE("a transposed convolution that crops more than its kernel reaches stays what it is") {
  struct Cropping : nn::Module {
    nn::ConvTranspose2d up{{.in = 3, .out = 4, .kernel = 2, .stride = 2, .padding = 2}};
    SINTER_CHILDREN(up)
    Tensor forward(const Tensor& x) const override { return relu(up(x)); }
  };
  Cropping model = test::randomized(Cropping{});
  CHECK(names(fused(model)) == Names{"up", "relu"});
  CHECK_ERROR(prepare_qat(model, images(kImages)), "up: its padding is more than its kernel reaches");
}

TEST_CASE("fusing leaves the model and its graph as they are") {
  auto model = net([](const Layers& l, const Tensor& x) { return relu(l.bn(l.conv(x))); });
  std::vector<Tensor> before;
  for (const auto& parameter : model.named_state()) before.push_back(parameter.value.tensor().clone());
  const Graph traced = trace(model, images(kImages));
  const std::string text_before = to_string(traced);
  Graph graph = fuse(traced);
  for (auto& parameter : graph.parameters)
    parameter.value.tensor().copy_from(Tensor::zeros(parameter.value.tensor().shape()));
  CHECK(to_string(traced) == text_before);
  size_t i = 0;
  for (const auto& parameter : model.named_state()) CHECK_SAME(parameter.value.tensor(), before[i++]);
}

TEST_CASE("a whole network computes the same") {
  test::SmallNet model = test::small_net();
  const Graph graph = fused(model);
  CHECK(names(graph) == Names{"stem", "body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2",
                              "body.1.shortcut.conv", "mean", "head"});
}
