#include "../../core/graph.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/conv2d.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../nn/layers/basic_block.h"
#include "../../nn/layers/linear.h"
#include "../support.h"

using namespace sinter;

namespace {

using Kind = Operand::Kind;

struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 4, .kernel = 3, .padding = 1, .bias = false}};
  std::vector<nn::BasicBlock> body{{{.in = 4, .out = 4}}, {{.in = 4, .out = 8, .stride = 2}}};
  nn::Linear head{{.in = 8, .out = 5}};
  SINTER_CHILDREN(stem, body, head)

  Tensor forward(const Tensor& x) const override {
    Tensor y = relu(stem(x));
    for (const auto& block : body) y = block(y);
    return head(mean(y, {1, 2}));
  }
};

Node node(const char* name, std::shared_ptr<const Op> op, std::vector<Operand> inputs, Specs outputs) {
  return {name, {}, std::move(op), std::move(inputs), std::move(outputs)};
}

// x and 2 x, as two outputs.
struct Both final : Op {
  std::string_view name() const override { return "both"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0], x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override {
    y[0].copy_from(x[0]);
    y[1].copy_from(x[0] * 2.0);
  }
};

const Spec kRow{DType::float32, {1, 2}};
const auto kRelu = std::make_shared<const ops::Relu>();
const auto kAdd = std::make_shared<const ops::Add>();

}  // namespace

TEST_CASE("a graph computes the model's bits, at every batch size") {
  Net net;
  net.eval();
  const Graph graph = trace(net, Tensor::zeros({2, 8, 8, 3}));
  for (const int64_t batch : {1, 2, 5}) {
    CAPTURE(batch);
    const Tensor x = test::normal({batch, 8, 8, 3}, 3);
    CHECK_SAME(graph(x), net(x));
  }
}

TEST_CASE("in training a graph has the model's bits, statistics and gradients") {
  Net net;
  Net copy = net;
  const Graph graph = trace(copy, Tensor::zeros({4, 8, 8, 3}));
  const Tensor x = test::normal({4, 8, 8, 3}, 4);
  const TrainingMode training(true);
  const Tensor expected = net(x), actual = graph(x);
  CHECK_SAME(actual, expected);
  sum(expected).backward();
  sum(actual).backward();
  const auto state = net.named_state(), copied = copy.named_state();
  for (size_t i = 0; i < state.size(); ++i) {
    CAPTURE(state[i].name);
    CHECK_SAME(copied[i].value.tensor().detach(), state[i].value.tensor().detach());
    CHECK_SAME(copied[i].value.tensor().grad(), state[i].value.tensor().grad());
  }
}

TEST_CASE("a graph takes what fits its inputs, with any first axis") {
  const Graph graph = trace(Net(), Tensor::zeros({2, 8, 8, 3}));
  CHECK_ERROR(graph(Tensor::zeros({2, 8, 9, 3})),
              "graph: input 0 is float32 [2,8,9,3], expected float32 [2,8,8,3] with any first axis");
  CHECK_ERROR(graph(Tensor::zeros({2, 8, 3})), "graph: input 0 is float32 [2,8,3], expected");
  CHECK_ERROR(graph(Tensor::zeros({2, 8, 8, 3}, DType::int8)), "graph: input 0 is int8 [2,8,8,3], expected float32");
  CHECK_ERROR(graph(Tensor()), "graph: input 0 is undefined, expected float32 [2,8,8,3]");
  CHECK_ERROR(graph.run({}), "graph: got 0 inputs, expected 1");
}

TEST_CASE("an error inside names the node") {
  Graph graph;
  graph.inputs = {kRow};
  graph.constants = {Tensor::ones({3})};
  graph.nodes = {node("body.add", kAdd, {{Kind::input, 0}, {Kind::constant, 0}}, {kRow})};
  graph.outputs = {{Kind::node, 0}};
  CHECK_ERROR(graph(Tensor::zeros({1, 2})), "(in body.add)");
}

TEST_CASE("copying a graph copies its parameters") {
  const Net net;
  const Graph graph = trace(net, Tensor::zeros({1, 8, 8, 3}));
  CHECK(graph.parameters[0].value.tensor().data<float>() == net.stem.weight.tensor().data<float>());
  const Graph copy = graph;
  CHECK(copy.parameters[0].value.tensor().data<float>() != net.stem.weight.tensor().data<float>());
  const Tensor x = test::normal({1, 8, 8, 3});
  CHECK_SAME(copy(x), graph(x));
}

TEST_CASE("a hook sees every node's outputs, and may keep them") {
  const Graph graph = trace(Net(), Tensor::zeros({2, 8, 8, 3}));
  const Tensor x = test::normal({2, 8, 8, 3});
  std::vector<Tensor> seen, copies;
  const auto y = graph.run({x}, [&](size_t i, const std::vector<Tensor>& outputs) {
    CHECK(i == seen.size());
    CHECK(outputs[0].shape() == graph.nodes[i].outputs[0].shape);
    seen.push_back(outputs[0]);
    copies.push_back(outputs[0].clone());
  });
  CHECK(seen.size() == graph.nodes.size());
  for (size_t i = 0; i < seen.size(); ++i) CHECK_SAME(seen[i], copies[i]);  // not overwritten by the next node
  CHECK_SAME(y[0], graph(x));
}

TEST_CASE("intermediate results are freed after their last use") {
  constexpr int64_t kElements = 1 << 18, kBytes = kElements * 4;
  const Spec spec{DType::float32, {1, kElements}};
  Graph graph;
  graph.inputs = {spec};
  Operand last{Kind::input, 0};
  for (int i = 0; i < 20; ++i) {
    graph.nodes.push_back(node("mul", std::make_shared<const ops::Mul>(), {last, last}, {spec}));
    last = {Kind::node, i};
  }
  graph.outputs = {last};
  const Tensor x = Tensor::ones(spec.shape);
  reset_peak_bytes();
  const int64_t base = allocator_stats().live_bytes;
  CHECK(graph(x).at({0, 5}) == 1);
  CHECK(allocator_stats().peak_bytes - base <= 2 * kBytes);
  CHECK(allocator_stats().live_bytes == base);
}

TEST_CASE("each of several outputs is freed after its own last use") {
  constexpr int64_t kElements = 1 << 18, kBytes = kElements * 4;
  const Spec spec{DType::float32, {1, kElements}};
  Graph graph;
  graph.inputs = {spec};
  graph.nodes = {node("both", std::make_shared<const Both>(), {{Kind::input, 0}}, {spec, spec}),
                 node("relu", kRelu, {{Kind::node, 0, 0}}, {spec})};
  graph.outputs = {{Kind::node, 1}, {Kind::node, 0, 1}};
  const Tensor x = Tensor::ones(spec.shape);
  const int64_t base = allocator_stats().live_bytes;
  int64_t live = 0;
  const auto y = graph.run({x}, [&](size_t, const std::vector<Tensor>&) { live = allocator_stats().live_bytes; });
  CHECK(live == base + 2 * kBytes);  // relu's output lies where the first of both was
  CHECK_SAME(y[1], x * 2.0);
}

TEST_CASE("what a caller holds, and what a graph returns twice, is not overwritten") {
  Graph graph;
  graph.inputs = {kRow};
  graph.nodes = {node("a", kRelu, {{Kind::input, 0}}, {kRow}),
                 node("b", kAdd, {{Kind::node, 0}, {Kind::node, 0}}, {kRow})};
  graph.outputs = {{Kind::node, 0}, {Kind::node, 1}, {Kind::node, 0}, {Kind::input, 0}};
  const Tensor x = Tensor::from({1, 2}, {-1, 2});
  const auto y = graph.run({x});
  CHECK_SAME(x, Tensor::from({1, 2}, {-1, 2}));
  CHECK_SAME(y[0], Tensor::from({1, 2}, {0, 2}));
  CHECK_SAME(y[1], Tensor::from({1, 2}, {0, 4}));
  CHECK_SAME(y[2], y[0]);
  CHECK_SAME(y[3], x);
  CHECK_ERROR(graph(x), "graph: it has 4 outputs, expected one; call run({x})");
}

TEST_CASE("nodes are found by name and alias") {
  Graph graph;
  graph.nodes = {node("a", kRelu, {{Kind::input, 0}}, {kRow}), node("b", kRelu, {{Kind::node, 0}}, {kRow})};
  graph.nodes[1].aliases = {"bn", "relu"};
  CHECK(graph.find("a") == 0);
  CHECK(graph.find("b") == 1);
  CHECK(graph.find("relu") == 1);
  CHECK(graph.find("c") == -1);
}

TEST_CASE("consumers and operands are looked up") {
  const auto weight = Parameter(Tensor::ones({5}));
  Graph graph;
  graph.inputs = {kRow};
  graph.parameters = {{"weight", weight}};
  graph.constants = {Tensor::ones({7}, DType::int8)};
  graph.nodes = {node("a", kRelu, {{Kind::input, 0}}, {kRow}), node("b", kRelu, {{Kind::node, 0}}, {kRow}),
                 node("c", kAdd, {{Kind::node, 0}, {Kind::node, 1}}, {kRow})};
  CHECK(graph.consumers() == std::vector<std::vector<int>>{{1, 2}, {2}, {}});
  CHECK(graph.spec({Kind::input, 0}) == kRow);
  CHECK(graph.spec({Kind::node, 2}) == kRow);
  CHECK(graph.spec({Kind::parameter, 0}) == Spec{DType::float32, {5}});
  CHECK(graph.spec({Kind::constant, 0}) == Spec{DType::int8, {7}});
}

TEST_CASE("canonical order is post-order from the outputs, by operand") {
  Graph graph;
  graph.inputs = {kRow};
  graph.parameters = {{"dead", Parameter(Tensor::ones({1}))},
                      {"second", Parameter(Tensor::ones({2}))},
                      {"first", Parameter(Tensor::ones({2}))},
                      {"returned", Parameter(Tensor::ones({3}))}};
  graph.constants = {Tensor::zeros({1}), Tensor::ones({1})};
  graph.nodes = {
      node("right", kAdd, {{Kind::input, 0}, {Kind::parameter, 1}}, {kRow}),
      node("dead", kAdd, {{Kind::input, 0}, {Kind::parameter, 0}}, {kRow}),
      node("left", kAdd, {{Kind::input, 0}, {Kind::parameter, 2}}, {kRow}),
      node("top", kAdd, {{Kind::node, 2}, {Kind::node, 0}}, {kRow}),
      node("more", kAdd, {{Kind::node, 0}, {Kind::constant, 1}}, {kRow}),
  };
  graph.outputs = {{Kind::node, 3}, {Kind::parameter, 3}, {Kind::node, 4}};
  graph.canonicalize();
  CHECK(to_string(graph) ==
        "input0: float32 [1,2]\n"
        "left = add(input0, first) -> float32 [1,2]\n"
        "right = add(input0, second) -> float32 [1,2]\n"
        "top = add(left, right) -> float32 [1,2]\n"
        "more = add(right, constant0) -> float32 [1,2]\n"
        "return top returned more\n");
  CHECK(graph.parameters.size() == 3);
  CHECK(graph.constants.size() == 1);
  CHECK(graph.constants[0].item() == 1);
  const std::string once = to_string(graph);
  graph.canonicalize();
  CHECK(to_string(graph) == once);
}

TEST_CASE("a graph prints its operations with attributes and shapes") {
  struct Small : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 3, .stride = 2, .padding = 1}};
    nn::Linear head{{.in = 4, .out = 2}};
    SINTER_CHILDREN(conv, head)
    Tensor forward(const Tensor& x) const override { return head(mean(relu(conv(x)), {1, 2})); }
  };
  const Graph graph = trace(Small(), Tensor::zeros({2, 8, 8, 3}));
  CHECK(to_string(graph) ==
        "input0: float32 [2,8,8,3]\n"
        "conv = conv2d(input0, conv.weight, conv.bias; stride=[2,2]; padding=[1,1]; dilation=[1,1]; groups=1) -> "
        "float32 [2,4,4,4]\n"
        "relu = relu(conv) -> float32 [2,4,4,4]\n"
        "mean = mean(relu; axes=[1,2]; keep=false) -> float32 [2,4]\n"
        "head = linear(mean, head.weight, head.bias) -> float32 [2,2]\n"
        "return head\n");
  CHECK(summary(graph) ==
        "node   operation  output     parameters  MACs\n"
        "conv   conv2d     [2,4,4,4]         112  3456\n"
        "relu   relu       [2,4,4,4]           0     0\n"
        "mean   mean       [2,4]               0     0\n"
        "head   linear     [2,2]              10    16\n"
        "total                               122  3472\n");
}

TEST_CASE("a summary counts a shared parameter once, and no buffers") {
  const Parameter weight(Tensor::ones({2}));
  Graph graph;
  graph.inputs = {kRow};
  graph.parameters = {{"weight", weight}, {"mean", Parameter(Tensor::ones({2}), false)}};
  graph.nodes = {node("a", kAdd, {{Kind::input, 0}, {Kind::parameter, 0}}, {kRow}),
                 node("b", kAdd, {{Kind::node, 0}, {Kind::parameter, 0}}, {kRow}),
                 node("c", kAdd, {{Kind::node, 1}, {Kind::parameter, 1}}, {kRow})};
  graph.outputs = {{Kind::node, 2}};
  CHECK(summary(graph) ==
        "node   operation  output  parameters  MACs\n"
        "a      add        [1,2]            2     0\n"
        "b      add        [1,2]            0     0\n"
        "c      add        [1,2]            0     0\n"
        "total                              2     0\n");
}

TEST_CASE("a printed operand says which output it is") {
  Graph graph;
  graph.inputs = {kRow};
  graph.nodes = {node("pair", std::make_shared<const Both>(), {{Kind::input, 0}}, {kRow, kRow}),
                 node("add", kAdd, {{Kind::node, 0, 1}, {Kind::node, 0, 0}}, {kRow})};
  graph.outputs = {{Kind::node, 1}};
  CHECK(to_string(graph) ==
        "input0: float32 [1,2]\n"
        "pair = both(input0) -> float32 [1,2] float32 [1,2]\n"
        "add = add(pair:1, pair) -> float32 [1,2]\n"
        "return add\n");
  CHECK(graph(Tensor::ones({1, 2})).at({0, 0}) == 3);
}
