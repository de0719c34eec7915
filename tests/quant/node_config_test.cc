#include "../../quant/node_config.h"

#include "../../quant/fuse.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

const std::vector<std::string> kInputs{"input"};

// Qconfigs that are told apart by a number.
QConfig clip(double max) {
  return get_default_qconfig({.activation_observer = "clip",
                              .weight_observer = "clip",
                              .activation_qkwargs = {{"max", max}},
                              .weight_qkwargs = {{"max", max}}});
}

double number(const TensorConfig& config) {
  const auto found = config.keywords.values().find("max");
  return found == config.keywords.values().end() ? 0 : std::get<double>(found->second);
}

using Map = std::map<std::string, QConfig>;

// What each node of the small network has: "activation/weight".
class Configs {
 public:
  explicit Configs(const Map& by_type, const Map& by_path = {})
      : graph_(fuse(trace(test::small_net(), Tensor::zeros({1, 8, 8, 3})))),
        all_(node_configs(graph_, kInputs, get_default_qconfig(), by_type, by_path)) {}

  const NodeConfig& of(const std::string& node) const {
    return node == "input" ? all_.inputs[0] : all_.nodes[static_cast<size_t>(graph_.find(node))];
  }
  std::string numbers(const std::string& node) const {
    const QConfig& qconfig = of(node).qconfig;
    return text(qconfig.activation ? number(*qconfig.activation) : -1, "/", number(qconfig.weight));
  }

 private:
  Graph graph_;
  NodeConfigs all_;
};

}  // namespace

TEST_CASE("the whole model's qconfig is for what nothing else names") {
  const Configs configs({});
  for (const std::string node : {"input", "stem", "body.0.conv1", "body.1.shortcut.conv", "mean", "head"}) {
    CAPTURE(node);
    CHECK(configs.of(node).qconfig == get_default_qconfig());
    CHECK(configs.of(node).activation_source == "default");
    CHECK(configs.of(node).weight_source == "default");
  }
}

TEST_CASE("a type's qconfig is for all operations of that type, a path's comes first") {
  const Configs configs({{"conv2d", clip(1)}, {"mean", clip(2)}}, {{"body.0.conv1", clip(3)}});
  CHECK(configs.numbers("stem") == "1/1");
  CHECK(configs.numbers("body.1.shortcut.conv") == "1/1");
  CHECK(configs.numbers("mean") == "2/2");
  CHECK(configs.numbers("head") == "0/0");
  CHECK(configs.numbers("input") == "0/0");
  CHECK(configs.numbers("body.0.conv1") == "3/3");
  CHECK(configs.of("stem").activation_source == "type conv2d");
  CHECK(configs.of("stem").weight_source == "type conv2d");
  CHECK(configs.of("body.0.conv1").activation_source == "path body.0.conv1");
}

TEST_CASE("of several paths the most specific counts, whatever their order and lengths") {
  const Configs configs(
      {}, {{"body", clip(1)}, {"body.1", clip(2)}, {"body.1.conv2", clip(3)}, {"body.1.shortcut", clip(4)}});
  CHECK(configs.numbers("stem") == "0/0");
  CHECK(configs.numbers("body.0.conv1") == "1/1");
  CHECK(configs.numbers("body.0.conv2") == "1/1");
  CHECK(configs.numbers("body.1.conv1") == "2/2");
  CHECK(configs.numbers("body.1.conv2") == "3/3");
  CHECK(configs.numbers("body.1.shortcut.conv") == "4/4");
  CHECK(configs.of("body.0.conv1").weight_source == "path body");
}

TEST_CASE("a path may be of one tensor, and comes before the whole of the same name only") {
  const Configs configs({}, {{"body.0", clip(1)},
                             {"body.activation", clip(2)},  // longer than body.0, but less specific
                             {"body.0.conv1.weight", clip(3)},
                             {"body.0.conv2.activation", clip(4)},
                             {"body.1.weight", clip(5)},
                             {"body.1", clip(6)},
                             {"head.weight", clip(7)}});
  CHECK(configs.numbers("body.0.conv1") == "1/3");
  CHECK(configs.numbers("body.0.conv2") == "4/1");
  CHECK(configs.numbers("body.1.conv1") == "6/5");
  CHECK(configs.numbers("head") == "0/7");
  CHECK(configs.of("head").activation_source == "default");
  CHECK(configs.of("head").weight_source == "path head.weight");
  CHECK(Configs({}, {{"body.activation", clip(2)}}).numbers("body.0.conv1") == "2/0");
}

TEST_CASE("what was fused into a layer names it, too; a name is not the start of another") {
  CHECK(Configs({}, {{"bn", clip(1)}}).numbers("stem") == "1/1");
  CHECK(Configs({}, {{"body.0.bn2", clip(1)}}).numbers("body.0.conv2") == "1/1");
  const Configs configs({}, {{"body.0.conv1", clip(1)}, {"body.1.shortcut.bn", clip(2)}});
  CHECK(configs.numbers("body.1.conv1") == "0/0");
  CHECK(configs.numbers("body.1.shortcut.conv") == "2/2");
  CHECK_ERROR(Configs({}, {{"body.0.conv", clip(1)}}), "by_path 'body.0.conv' names no module and no node");
}

TEST_CASE("calls of one layer have its path, and each its own") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(relu(conv(x))); }
  };
  const Graph graph = fuse(trace(Net{}, Tensor::zeros({1, 4, 4, 3})));
  const auto configs =
      node_configs(graph, kInputs, get_default_qconfig(), {}, {{"conv", clip(1)}, {"conv#2.activation", clip(2)}});
  REQUIRE(configs.nodes.size() == 2);
  CHECK(number(*configs.nodes[0].qconfig.activation) == 1);
  CHECK(number(*configs.nodes[1].qconfig.activation) == 2);
  CHECK(number(configs.nodes[1].qconfig.weight) == 1);
  const auto first = node_configs(graph, kInputs, get_default_qconfig(), {}, {{"conv#1", clip(1)}});
  CHECK(number(*first.nodes[0].qconfig.activation) == 1);
  CHECK(number(first.nodes[0].qconfig.weight) == 1);
  CHECK(number(*first.nodes[1].qconfig.activation) == 0);
  CHECK_ERROR(node_configs(graph, kInputs, get_default_qconfig(), {}, {{"conv#2.weight", clip(1)}}),
              "prepare_qat: by_path 'conv#2.weight': conv#2 has the weights of conv; name those");
}

TEST_CASE("inputs have paths") {
  const Configs configs({}, {{"input", clip(1)}, {"stem", clip(2)}});
  CHECK(configs.numbers("input") == "1/1");
  CHECK(configs.of("input").activation_source == "path input");
  CHECK(configs.numbers("stem") == "2/2");
  CHECK(Configs({}, {{"input.activation", clip(1)}}).numbers("input") == "1/0");
}

TEST_CASE("run_in_float and high precision belong to the most specific path as well") {
  const Configs configs({}, {{"body", run_in_float()},
                             {"body.1.conv1", clip(1)},
                             {"head", get_default_qconfig({.activation_fake_quant = none})}});
  CHECK(configs.of("body.0.conv1").qconfig.run_in_float);
  CHECK_FALSE(configs.of("body.1.conv1").qconfig.run_in_float);
  CHECK_FALSE(configs.of("stem").qconfig.run_in_float);
  CHECK(configs.numbers("head") == "-1/0");
  // A tensor's qconfig says nothing about the operation.
  CHECK(Configs({}, {{"body", run_in_float()}, {"body.0.conv1.weight", clip(2)}})
            .of("body.0.conv1")
            .qconfig.run_in_float);
  CHECK_ERROR(Configs({}, {{"stem.weight", run_in_float()}}),
              "by_path 'stem.weight' is one tensor, but run_in_float is for an operation; leave '.weight' out");
}

TEST_CASE("a name that nothing has is an error with the nearest one") {
  CHECK_ERROR(Configs({}, {{"body.0.conv3", clip(1)}}),
              "prepare_qat: by_path 'body.0.conv3' names no module and no node; did you mean 'body.0.conv1'?");
  CHECK_ERROR(Configs({}, {{"haed", clip(1)}}), "did you mean 'head'?");
  CHECK_ERROR(Configs({}, {{"bodi.1", clip(1)}}), "did you mean 'body.1'?");
  CHECK_ERROR(Configs({}, {{"inputs", clip(1)}}), "did you mean 'input'?");
  CHECK_ERROR(Configs({}, {{"stem.weights", clip(1)}}), "by_path 'stem.weights' names no module");
  CHECK_ERROR(Configs({}, {{"mean.weight", clip(1)}}), "prepare_qat: by_path 'mean.weight': mean has no weights");
  CHECK_ERROR(Configs({}, {{"input.weight", clip(1)}}), "by_path 'input.weight': input has no weights");
  CHECK_ERROR(Configs({{"conv", clip(1)}}),
              "prepare_qat: by_type 'conv': the network has no such operation, but conv2d, linear, mean");
  CHECK_ERROR(Configs({{"relu", clip(1)}}), "by_type 'relu'");  // fused into its convolutions
}
