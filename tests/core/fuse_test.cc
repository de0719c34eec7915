#include "../../core/fuse.h"

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/batch_norm.h"
#include "../../core/ops/conv2d_batch_norm.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/relu6.h"
#include "../support.h"

using namespace sinter;
using namespace sinter::test;

namespace {

// Weights and running statistics of the network that a test traces.
struct Net {
  std::vector<NamedParameter> parameters;

  const Tensor& add(const std::string& name, Tensor value, bool trained = true) {
    parameters.push_back({name, Parameter(std::move(value), trained)});
    return parameters.back().value.tensor();
  }
  Tensor conv(const Tensor& x, const std::string& name) {
    return conv2d(x, of(name + ".weight", [&] { return normal({3, 3, 3, 3}, parameters.size()); }), {}, {.padding = 1});
  }
  Tensor norm(const Tensor& x, const std::string& name, const BatchNormAttributes& attributes = {}) {
    const Tensor weight = of(name + ".weight", [] { return Tensor::from({3}, {6, -0.5f, 1}); });
    const Tensor bias = of(name + ".bias", [] { return Tensor::from({3}, {0.1f, 0.2f, -0.3f}); });
    const Tensor mean = of(
        name + ".mean", [] { return Tensor::zeros({3}); }, false);
    const Tensor var = of(
        name + ".var", [] { return Tensor::ones({3}); }, false);
    return batch_norm(x, weight, bias, mean, var, attributes);
  }

 private:
  template <class F>
  Tensor of(const std::string& name, const F& make, bool trained = true) {
    for (const NamedParameter& parameter : parameters)
      if (parameter.name == name) return parameter.value.tensor();
    return add(name, make(), trained);
  }
};

using Model = std::function<Tensor(Net&, const Tensor&)>;

const Shape kShape{2, 5, 4, 3};

// The model's parameters are made by a first run.
Graph traced(Net& net, const Model& model) {
  net.parameters.reserve(64);
  model(net, normal(kShape));
  return trace({.run = [&](const std::vector<Tensor>& x) { return std::vector{model(net, x[0])}; },
                .parameters =
                    [&] {
                      std::vector<NamedParameter> shared;
                      for (const auto& p : net.parameters) shared.push_back({p.name, p.value.share()});
                      return shared;
                    }(),
                .modules = {}},
               {{DType::float32, kShape}});
}

// Output, gradients and state after a training step, then the output in evaluation.
std::vector<Tensor> results(const Net& net, const Graph& graph) {
  std::vector<Tensor> all;
  Tensor x = normal(kShape, 9);
  x.set_requires_grad(true);
  {
    const TrainingMode mode(true);
    const Tensor y = graph(x);
    all.push_back(y.clone());
    y.backward(normal(y.shape(), 10));
  }
  all.push_back(x.grad());
  for (const NamedParameter& parameter : net.parameters)
    all.push_back(parameter.value.trained() ? parameter.value.tensor().grad() : parameter.value.tensor().clone());
  all.push_back(graph(x).detach());
  return all;
}

// What is left of the model, one operation after the other; outputs, gradients and state have the same bits.
std::string fused(const Model& model) {
  Net net, same;
  const std::vector<Tensor> expected = results(net, traced(net, model));
  const Graph graph = fuse_batch_norm(traced(same, model));
  const std::vector<Tensor> actual = results(same, graph);
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) CHECK_SAME(actual[i], expected[i]);
  std::string out;
  for (const Node& node : graph.nodes) {
    out += text(out.empty() ? "" : " ", node.op->name());
    if (const auto* norm = dynamic_cast<const ops::BatchNorm*>(node.op.get())) {
      if (node.inputs.size() == 6) out += "+add";
      if (norm->attributes.activation != "none") out += "+" + norm->attributes.activation;
    }
    if (const auto* both = dynamic_cast<const ops::Conv2dBatchNorm*>(node.op.get())) {
      if (node.inputs.size() == 7) out += "+add";
      if (both->attributes.activation != "none") out += "+" + both->attributes.activation;
    }
  }
  return out;
}

}  // namespace

TEST_CASE("fuse_batch_norm: a ReLU goes into the batch normalisation before it") {
  CHECK(fused([](Net& net, const Tensor& x) { return relu(net.norm(net.conv(x, "a"), "b")); }) ==
        "conv2d_batch_norm+relu");
}

TEST_CASE("fuse_batch_norm: so does a ReLU6, after an addition too") {
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = relu6(net.norm(net.conv(x, "a"), "b"));  // above 6 in part
          return relu6(net.norm(net.conv(y, "c"), "d") + y);
        }) == "conv2d_batch_norm+relu6 conv2d_batch_norm+add+relu6");
}

TEST_CASE("fuse_batch_norm: an addition and the ReLU after it go into the batch normalisation") {
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = relu(net.norm(net.conv(x, "a"), "b"));
          return relu(net.norm(net.conv(y, "c"), "d") + y);
        }) == "conv2d_batch_norm+relu conv2d_batch_norm+add+relu");
  CHECK(fused([](Net& net, const Tensor& x) { return x + net.norm(net.conv(x, "a"), "b"); }) ==
        "conv2d_batch_norm+add");
}

TEST_CASE("fuse_batch_norm: of two batch normalisations the last takes the addition") {
  Net net;
  const Model model = [](Net& n, const Tensor& x) {
    return relu(n.norm(n.conv(x, "a"), "first") + n.norm(n.conv(x, "b"), "last"));
  };
  CHECK(fused(model) == "conv2d_batch_norm conv2d_batch_norm+add+relu");
  const Graph graph = fuse_batch_norm(traced(net, model));
  const Node& node = graph.nodes.back();
  CHECK(graph.parameters[node.inputs[2].index].name == "last.weight");
  CHECK(node.aliases.size() == 3);
  for (const char* name : {"add", "relu"}) CHECK(graph.find(name) == static_cast<int>(graph.nodes.size()) - 1);
}

TEST_CASE("fuse_batch_norm: what something else reads stays") {
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = net.norm(net.conv(x, "a"), "b");
          return relu(y) * y;
        }) == "conv2d_batch_norm relu mul");
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = net.norm(net.conv(x, "a"), "b");
          return y + y;
        }) == "conv2d_batch_norm add");
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = net.norm(net.conv(x, "a"), "b");
          return y + mean(y, {0, 1, 2});
        }) == "conv2d_batch_norm mean add");
}

TEST_CASE("fuse_batch_norm: a broadcast addition, a ReLU that comes first and a second addition stay") {
  CHECK(fused([](Net& net, const Tensor& x) {
          return net.norm(net.conv(x, "a"), "b") + mean(x, {1, 2}, true);
        }) == "conv2d_batch_norm mean add");
  CHECK(fused([](Net& net, const Tensor& x) { return relu(net.norm(net.conv(x, "a"), "b")) + x; }) ==
        "conv2d_batch_norm+relu add");
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor a = relu(x), b = relu(x);
          return (net.norm(net.conv(a, "a"), "b") + a) + b;
        }) == "relu conv2d_batch_norm+add relu add");
}

TEST_CASE("fuse_batch_norm: a convolution stays by itself when it has a bias or other readers, as does one after") {
  CHECK(fused([](Net& net, const Tensor& x) {
          return relu(net.norm(conv2d(x, Tensor::ones({3, 1, 1, 3}), Tensor::ones({3})), "b"));
        }) == "conv2d batch_norm+relu");
  CHECK(fused([](Net& net, const Tensor& x) {
          const Tensor y = net.conv(x, "a");
          return net.norm(y, "b") * y;
        }) == "conv2d batch_norm mul");
  CHECK(fused([](Net& net, const Tensor& x) { return net.conv(net.norm(x, "b"), "a"); }) == "batch_norm conv2d");
}

TEST_CASE("fuse_batch_norm: frozen batch normalisation stays frozen") {
  const BatchNormAttributes frozen{.frozen = true};
  CHECK(fused([&](Net& net, const Tensor& x) {
          const Tensor y = relu(net.norm(net.conv(x, "a"), "b", frozen));
          return relu(net.norm(y, "c", frozen) + x);
        }) == "conv2d_batch_norm+relu batch_norm+add+relu");
}

TEST_CASE("fuse_batch_norm: the parameters are the argument's") {
  Net net;
  const Graph graph = fuse_batch_norm(traced(net, [](Net& n, const Tensor& x) { return relu(n.norm(x, "b")); }));
  Tensor weight = net.parameters[0].value.tensor();
  weight.mutable_data<float>()[0] = 42;
  CHECK(graph.parameters[0].value.tensor().at({0}) == 42);
}
