#include "../../core/graph.h"

#include <thread>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/batch_norm.h"
#include "../../core/ops/linear.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../support.h"

using namespace sinter;

namespace {

using Function = std::function<Tensor(const Tensor&)>;
using Names = std::vector<std::string>;

const Specs kPairs{{DType::float32, {3, 2}}};

NamedParameter parameter(const char* name, const std::vector<float>& values, bool trained = true) {
  return {name, Parameter(Tensor::from({static_cast<int64_t>(values.size())}, values), trained)};
}

// x, with one attribute or none.
struct Same final : Op {
  bool described;
  explicit Same(bool with) : described(with) {}
  std::string_view name() const override { return "same"; }
  std::vector<Field> fields() const override {
    return described ? std::vector<Field>{{"described", true}} : std::vector<Field>{};
  }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context&) const override { y[0].copy_from(x[0]); }
};

Traceable traceable(Function f, const std::vector<const NamedParameter*>& parameters = {}) {
  Traceable model;
  model.run = [f = std::move(f)](std::vector<Tensor> x) { return std::vector<Tensor>{f(x[0])}; };
  for (const auto* p : parameters) model.parameters.push_back({p->name, p->value.share()});
  return model;
}

Graph traced(Function f, const std::vector<const NamedParameter*>& parameters = {}) {
  return trace(traceable(std::move(f), parameters), kPairs);
}

Names names(const Graph& graph) {
  Names all;
  for (const Node& node : graph.nodes) all.push_back(node.name);
  return all;
}

}  // namespace

TEST_CASE("a trace has the operations in order, with operands and shapes") {
  const auto scale = parameter("scale", {2, 3});
  const Graph graph = traced([&](const Tensor& x) { return relu(x * scale.value.tensor()) + 1.0; }, {&scale});
  CHECK(names(graph) == Names{"mul", "relu", "add"});
  CHECK(graph.inputs == kPairs);
  CHECK(graph.parameters.size() == 1);
  CHECK(graph.parameters[0].name == "scale");
  CHECK(graph.constants.size() == 1);
  CHECK(graph.nodes[0].inputs == std::vector<Operand>{{Operand::Kind::input, 0}, {Operand::Kind::parameter, 0}});
  CHECK(graph.nodes[2].inputs == std::vector<Operand>{{Operand::Kind::node, 1}, {Operand::Kind::constant, 0}});
  CHECK(graph.nodes[2].outputs == kPairs);
  CHECK(graph.outputs == std::vector<Operand>{{Operand::Kind::node, 2}});
  CHECK(!detail::tracing());
}

TEST_CASE("a traced graph shares the model's parameters") {
  const auto scale = parameter("scale", {2, 3});
  const Graph graph = traced([&](const Tensor& x) { return x * scale.value.tensor(); }, {&scale});
  CHECK(graph.parameters[0].value.tensor().data<float>() == scale.value.tensor().data<float>());
}

TEST_CASE("calls of one operation are numbered") {
  const Graph graph = traced([](const Tensor& x) { return relu(relu(relu(x)) + 1.0); });
  CHECK(names(graph) == Names{"relu", "relu#2", "add", "relu#3"});
}

TEST_CASE("order and names follow the operands, not the order of evaluation") {
  const auto model = [](bool left_first) {
    return [left_first](const Tensor& x) {
      Tensor left, right;
      if (left_first) left = relu(x + 1.0);
      right = relu(x + 2.0);
      if (!left_first) left = relu(x + 1.0);
      return left - right;
    };
  };
  const Graph graph = traced(model(true));
  CHECK(names(graph) == Names{"add", "relu", "add#2", "relu#2", "sub"});
  CHECK(graph.constants[0].item() == 1);
  CHECK(to_string(traced(model(false))) == to_string(graph));
  CHECK(traced(model(false)).constants[0].item() == 1);
}

TEST_CASE("what no output depends on leaves no trace") {
  const auto used = parameter("used", {1, 2}), unused = parameter("unused", {3, 4});
  const Graph graph = traced(
      [&](const Tensor& x) {
        relu(x * unused.value.tensor()) + 7.0;
        return relu(x * used.value.tensor());
      },
      {&unused, &used});
  CHECK(names(graph) == Names{"mul", "relu"});
  CHECK(graph.parameters.size() == 1);
  CHECK(graph.parameters[0].name == "used");
  CHECK(graph.constants.empty());
}

TEST_CASE("names are the modules' paths") {
  const int conv = 0, block = 0, unlisted = 0;
  Traceable model = traceable([&](const Tensor& x) {
    const detail::ModuleScope in_block(&block);
    Tensor y = x;
    for (int i = 0; i < 2; ++i) {
      const detail::ModuleScope in_conv(&conv);
      y = relu(y + 1.0);  // a leaf: its first operation has its path
    }
    const detail::ModuleScope in_unlisted(&unlisted);
    return relu(y);  // belongs to the block
  });
  model.modules = {{&block, {"body.3", false}}, {&conv, {"body.3.conv", true}}};
  CHECK(names(trace(model, kPairs)) ==
        Names{"body.3.conv", "body.3.conv.relu", "body.3.conv#2", "body.3.conv.relu#2", "body.3.relu"});
}

TEST_CASE("flow that depends on data is an error") {
  CHECK_ERROR(traced([](const Tensor& x) {
                return x.at({0, 0}) > 0 ? relu(x) : x;
              }),
              "a tensor's values were read while its model was traced: the flow of a traced model may not depend on");
  CHECK_ERROR(traced([](const Tensor& x) { return relu(x).to(DType::int8); }), "may not depend on data");
  CHECK_ERROR(traced([](Tensor x) { return x.mutable_data<float>(), x; }), "may not depend on data");
  CHECK(!detail::tracing());
}

TEST_CASE("a model that differs between evaluation and training is refused with what differs") {
  const std::string start = "trace: the model differs between evaluation and training: ";
  CHECK_ERROR(traced([](const Tensor& x) { return training_mode() ? relu(x) : x + 1.0; }),
              start + "node 0 is add (add) in one and relu (relu) in the other");
  CHECK_ERROR(traced([](const Tensor& x) { return training_mode() ? relu(relu(x)) : relu(x); }),
              start + "one has 1 operations, the other 2, with relu#2 (relu)");
  CHECK_ERROR(traced([](const Tensor& x) { return sum(x, {training_mode() ? 0 : 1}, true); }),
              start + "sum has axes=[1] in one and axes=[0] in the other");
  CHECK_ERROR(traced([](const Tensor& x) { return x + (training_mode() ? 1.0 : 2.0); }),
              start + "a constant of shape [] is float32 [] or has other values, in add");
  CHECK_ERROR(traced([](const Tensor& x) { return call(Same{training_mode()}, x); }),
              start + "same has attributes in one that the other has not");
  const auto a = parameter("a", {1, 2}), b = parameter("b", {3, 4});
  CHECK_ERROR(traced([&](const Tensor& x) { return x * (training_mode() ? a : b).value.tensor(); }, {&a, &b}),
              start + "one uses parameter b where the other uses a");
}

TEST_CASE("an operation that reads the mode itself is one operation") {
  const auto weight = parameter("weight", {1, 1}), bias = parameter("bias", {0, 0});
  const auto mean = parameter("mean", {0, 0}, false), var = parameter("var", {1, 1}, false);
  const Graph graph = traced(
      [&](const Tensor& x) {
        return batch_norm(x, weight.value.tensor(), bias.value.tensor(), mean.value.tensor(), var.value.tensor());
      },
      {&weight, &bias, &mean, &var});
  CHECK(names(graph) == Names{"batch_norm"});
  CHECK(graph.parameters.size() == 4);
  CHECK(!graph.parameters[2].value.trained());
}

TEST_CASE("a batch size that is baked in is an error") {
  const std::string start = "trace: the model depends on the batch size (first axis 3 or 4): ";
  CHECK_ERROR(traced([](const Tensor& x) { return x + static_cast<double>(x.size(0)); }),
              start + "a constant of shape [] is float32 [] or has other values");
  CHECK_ERROR(traced([](const Tensor& x) { return x + Tensor::ones({3, 2}); }), start + "add: ");
  CHECK_ERROR(traced([](const Tensor& x) { return x + Tensor::ones(x.shape()); }),
              start + "a constant of shape [3,2] is float32 [4,2] or has other values");
  CHECK_ERROR(traced([](const Tensor& x) { return x.size(0) == 4 ? relu(x) : x + 1.0; }), start + "node 0 is add");
}

TEST_CASE("inputs without axes have no batch, others beside them do") {
  const Spec number{DType::float32, {}};
  CHECK(trace(traceable([](const Tensor& x) { return relu(x); }), {number}).nodes.size() == 1);

  const auto scaled = [](bool baked_in) {
    Traceable model;
    model.run = [baked_in](std::vector<Tensor> x) {
      const Tensor y = x[0] * x[1];
      return std::vector<Tensor>{baked_in ? y + Tensor::ones(y.shape()) : y};
    };
    return model;
  };
  const Graph graph = trace(scaled(false), {number, kPairs[0]});
  CHECK_SAME(graph.run({Tensor::full({}, 2), Tensor::ones({5, 2})})[0], Tensor::full({5, 2}, 2));
  CHECK_ERROR(trace(scaled(true), {number, kPairs[0]}),
              "trace: the model depends on the batch size (first axis 3 or 4): a constant of shape [3,2] is");
}

TEST_CASE("a parameter that is used but not listed is an error") {
  const Parameter hidden(Tensor::ones({2}));
  CHECK_ERROR(traced([&](const Tensor& x) { return x * hidden.tensor(); }),
              "parameter of shape [2] used in mul but not in the module tree: list it in SINTER_CHILDREN");
  // A buffer that is not listed is a constant.
  const Parameter constant(Tensor::ones({2}), false);
  CHECK(traced([&](const Tensor& x) { return x * constant.tensor(); }).constants.size() == 1);
}

TEST_CASE("the input, a parameter or a constant may be the result") {
  const Graph same = traced([](const Tensor& x) { return x; });
  CHECK(same.nodes.empty());
  const Tensor x = test::normal({5, 2});
  CHECK_SAME(same(x), x);

  const auto unused = parameter("unused", {1}), shown = parameter("shown", {4, 5});
  const Graph parameters = traced([&](const Tensor&) { return shown.value.tensor(); }, {&unused, &shown});
  CHECK(parameters.parameters.size() == 1);
  CHECK_SAME(parameters(x), shown.value.tensor().detach());

  const Tensor fixed = Tensor::from({2}, {6, 7});
  const Graph constants = traced([&](const Tensor&) { return fixed; });
  CHECK_SAME(constants(x), fixed);
}

TEST_CASE("a tensor of an earlier trace is an error") {
  Tensor stolen;
  CHECK_ERROR(traced([&](const Tensor& x) {
                if (!stolen.defined()) stolen = relu(x);
                return x + stolen;
              }),
              "add: a tensor of another trace was used");
}

TEST_CASE("a tensor of another thread's trace is an error") {
  Tensor stolen;
  std::thread([&] {
    traced([&](const Tensor& x) {
      if (!stolen.defined()) stolen = relu(x);
      return relu(x);
    });
  }).join();
  CHECK_ERROR(traced([&](const Tensor& x) { return x + stolen; }), "add: a tensor of another trace was used");
}

TEST_CASE("traces do not nest, and models return something") {
  CHECK_ERROR(traced([](const Tensor& x) {
                traced([](const Tensor& y) { return relu(y); });
                return relu(x);
              }),
              "trace: called while another trace runs");
  CHECK_ERROR(traced([](const Tensor&) { return Tensor(); }), "trace: the model returned an undefined tensor");
  CHECK_ERROR(trace({[](std::vector<Tensor>) { return std::vector<Tensor>{}; }, {}, {}}, kPairs),
              "trace: the model returned no tensor");
  CHECK_ERROR(trace(traceable([](const Tensor& x) { return x; }), {}), "trace: no inputs");
  CHECK(traced([](const Tensor& x) { return relu(x); }).nodes.size() == 1);
}

TEST_CASE("a shape error of the model is passed on") {
  CHECK_ERROR(traced([](const Tensor& x) { return x + Tensor::ones({3}); }), "add: ");
}
