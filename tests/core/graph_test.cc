#include "../../core/graph.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/reshape.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../support.h"

using namespace sinter;

namespace {

struct Net : nn::Module {
  nn::Conv2d stem{{.in = 1, .out = 4, .kernel = 3, .padding = 1}};
  nn::BasicBlock block{{.in = 4, .out = 4}};
  nn::Linear head{{.in = 4, .out = 2}};
  SINTER_CHILDREN(stem, block, head)
  Tensor forward(const Tensor& x) const override { return head(mean(block(relu(stem(x))), {1, 2})); }
};

// A module around a function of a tensor.
struct Wrapped : nn::Module {
  std::function<Tensor(const Tensor&)> f;
  explicit Wrapped(std::function<Tensor(const Tensor&)> function) : f(std::move(function)) {}
  SINTER_CHILDREN()
  Tensor forward(const Tensor& x) const override { return f(x); }
};

const Tensor kExample = Tensor::zeros({2, 6, 6, 1});

}  // namespace

TEST_CASE("a graph's nodes are named by module, operation and call, in canonical order") {
  const Net net;
  const Graph graph = trace(net, kExample);
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(node.name);
  CHECK(names == std::vector<std::string>{"stem", "relu", "block.conv1", "block.bn1", "block.relu", "block.conv2",
                                          "block.bn2", "block.add", "block.relu#2", "mean", "head"});
  CHECK(graph.find("block.conv2") == 5);
  CHECK(graph.find("nothing") == -1);
  for (const Node& node : graph.nodes)
    for (const Operand& operand : node.inputs)
      if (operand.kind == Operand::Kind::node) CHECK(operand.index < graph.find(node.name));
  CHECK(graph.consumers()[1].size() == 2);  // conv1 and the shortcut
  CHECK(graph.spec(graph.outputs[0]).shape == Shape{2, 2});
}

TEST_CASE("the order does not depend on the order of the calls") {
  const Wrapped a([](const Tensor& x) {
    const Tensor left = relu(x), right = x * 2;
    return left + right;
  });
  const Wrapped b([](const Tensor& x) {
    const Tensor right = x * 2, left = relu(x);
    return left + right;
  });
  CHECK(to_string(trace(a, kExample)) == to_string(trace(b, kExample)));
}

TEST_CASE("a graph computes what its model computes, bit for bit, and shares its parameters") {
  Net net;
  const Graph graph = trace(net, kExample);
  const Tensor x = test::normal({3, 6, 6, 1});
  for (const bool training : {false, true}) {
    const nn::ModeOverride module_mode(training);
    const TrainingMode graph_mode(training);
    CHECK_SAME(graph(x), net(x));
  }
  net.head.bias.tensor().mutable_data<float>()[0] += 1;
  const nn::ModeOverride evaluation(false);
  CHECK_SAME(graph(x), net(x));
  CHECK_ERROR(graph(Tensor::zeros({3, 6, 5, 1})),
              "graph: input 0 is float32 [3,6,5,1], expected float32 [2,6,6,1] with any first axis");
}

TEST_CASE("a graph shows every node's output to a hook") {
  const Net net;
  const Graph graph = trace(net, kExample);
  std::vector<size_t> seen;
  graph.run({kExample}, [&](size_t node, const std::vector<Tensor>& outputs) {
    seen.push_back(node);
    CHECK(outputs[0].shape() == graph.nodes[node].outputs[0].shape);
  });
  CHECK(seen.size() == graph.nodes.size());
}

TEST_CASE("graphs print, and summarise parameters and multiply-accumulates") {
  const Net net;
  const Graph graph = trace(net, kExample);
  const std::string printed = to_string(graph), table = summary(graph);
  CHECK(printed.find("stem = conv2d(input0, stem.weight, stem.bias; stride=[1,1]; padding=[1,1]") != std::string::npos);
  CHECK(printed.find("return head") != std::string::npos);
  const int64_t macs = 2 * 36 * 9 * (4 + 16 + 16) + 2 * 8;
  const int64_t parameters = 36 + 4 + 2 * 144 + 2 * 8 + 10;
  CHECK(table.find(text("total", "")) != std::string::npos);
  CHECK(table.find(text(parameters)) != std::string::npos);
  CHECK(table.find(text(macs)) != std::string::npos);
}

TEST_CASE("flow that depends on data, mode or batch size is an error") {
  CHECK_ERROR(trace(Wrapped([](const Tensor& x) {
                      return x.at({0, 0, 0, 0}) > 0 ? relu(x) : x * 2;
                    }),
                    kExample),
              "the flow of a traced model may not depend on data");
  CHECK_ERROR(trace(Wrapped([](const Tensor& x) { return training_mode() ? relu(x) : x * 2; }), kExample),
              "trace: the model differs between evaluation and training: node 0 is");
  CHECK_ERROR(trace(Wrapped([](const Tensor& x) { return x.size(0) > 2 ? relu(x) : x * 2; }), kExample),
              "trace: the model depends on the batch size (first axis 2 or 3)");
  CHECK_ERROR(trace(Wrapped([](const Tensor& x) {
                      return reshape(x, {2, 36});
                    }),
                    kExample),
              "trace: the model depends on the batch size");
}

TEST_CASE("a parameter that the model does not list is named by its shape") {
  Tensor hidden = Tensor::ones({1});
  hidden.set_requires_grad(true);
  CHECK_ERROR(trace(Wrapped([&](const Tensor& x) { return x * hidden; }), kExample),
              "parameter of shape [1] used in mul but not in the module tree: list it in SINTER_CHILDREN");
}

TEST_CASE("operations print their attributes and refuse undefined tensors") {
  CHECK(to_string(Field{"stride", int64_t{2}}) == "stride=2");
  CHECK(to_string(Field{"axes", std::vector<int64_t>{1, 2}}) == "axes=[1,2]");
  CHECK(to_string(Field{"relu", true}) == "relu=true");
  CHECK_ERROR(relu(Tensor()), "relu: input 0 is an undefined tensor");
}

TEST_CASE("an error inside a graph names the node") {
  const Net net;
  Graph graph = trace(net, kExample);
  graph.parameters[0].value = Parameter(Tensor::zeros({4, 3, 3, 2}));
  CHECK_ERROR(graph(kExample), "(in stem)");
}
