#include "../../../quant/analysis/stages.h"

#include <cmath>
#include <set>

#include "../../../core/ops/relu6.h"
#include "../../../nn/layers/max_pool2d.h"
#include "../../../quant/analysis/compare.h"
#include "../../../quant/analysis/diagnose.h"
#include "../networks.h"
#include "stages.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;

namespace {

// Convolutions with ReLU6 and skip, a pooling, an addition read twice, a mean and a head.
struct Net : nn::Module {
  nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{8};
  nn::MaxPool2d pool{{.kernel = 2}};
  nn::Conv2d left{{.in = 8, .out = 8, .kernel = 3, .padding = 1}}, right{{.in = 8, .out = 8, .kernel = 1}};
  nn::Linear head{{.in = 8, .out = 5}};
  SINTER_CHILDREN(stem, bn, pool, left, right, head)

  Tensor forward(const Tensor& x) const override {
    const Tensor y = pool(relu6(bn(stem(x))));
    const Tensor z = left(y) + y;
    return head(mean(relu(right(z)) + z, {1, 2}));
  }
};

PreparedModel calibrated(const PrepareOptions& options = {}) {
  PreparedModel model = prepare_qat(test::randomized(Net{}), Tensor::zeros({1, 8, 8, 3}), options);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(images({8, 8, 8, 3}));
  set_fake_quantize(model, FakeQuantState::validation);
  return model;
}

PrepareOptions with_float_nodes() {
  // A convolution between integers, one that reads the image, and the head.
  return {.by_path = {{"left", run_in_float()}, {"stem", run_in_float()}, {"head", run_in_float()}}};
}

PrepareOptions with_int16() {
  return {.by_path = {{"pool", get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}})},
                      {"left", get_default_qconfig({.activation_qkwargs = {{"dtype", "int16"}}})}},
          .march = March::bayes};
}

struct Shown {
  std::vector<StageValue> values;
  std::map<std::string, Tensor> by_node;
};

Shown run(const Stage& stage, const Tensor& x) {
  Shown shown;
  stage.run(x, [&](const StageValue& value) {
    shown.values.push_back(value);
    CHECK(shown.by_node.emplace(value.node, value.values).second);  // once
  });
  return shown;
}

std::vector<std::string> names(const Shown& shown) {
  std::vector<std::string> all;
  for (const StageValue& value : shown.values) all.push_back(value.node);
  return all;
}

}  // namespace

TEST_CASE("both stages of a model show the same nodes, and nodes alone on their own values give these") {
  const Tensor x = images({3, 8, 8, 3}, 2);
  for (const PrepareOptions& options :
       {PrepareOptions{}, PrepareOptions{.batch_norm = "with_bn"}, with_float_nodes()}) {
    const PreparedModel model = calibrated(options);
    const auto real = float_stage(model), integers = quantised_stage(model);
    CHECK(real->title() == "float");
    CHECK(integers->title() == "quantised for bayes");
    CHECK(names(run(*real, x)) == names(run(*integers, x)));
    for (const Stage* stage : {real.get(), integers.get()}) {
      const Shown shown = run(*stage, x);
      CHECK(shown.values.size() == model.graph().nodes.size() + 1);
      size_t alone = 0;
      stage->run_alone(shown.by_node, [&](const StageValue& value) {
        CAPTURE(value.node);
        CHECK_SAME(value.values, shown.by_node.at(value.node));
        ++alone;
      });
      CHECK(alone == model.graph().nodes.size());
      // Without the values of a node, those that read it cannot run.
      auto some = shown.by_node;
      CHECK(some.erase("left") == 1);
      std::set<std::string> left_out;
      for (const StageValue& value : shown.values) left_out.insert(value.node);
      stage->run_alone(some, [&](const StageValue& value) { left_out.erase(value.node); });
      CHECK(left_out.count("left") == 0);
      CHECK(left_out.count("right") == 1);
      CHECK(left_out.count("input") == 1);
      CHECK(left_out.size() == 3);  // and the other addition
    }
  }
}

TEST_CASE("a quantised stage shows what validation computes, on its grids") {
  for (const PrepareOptions& options : {PrepareOptions{}, with_float_nodes()}) {
    const PreparedModel model = calibrated(options);
    const bool floats = !options.by_path.empty();
    const Tensor x = images({3, 8, 8, 3}, 2);
    const Shown shown = run(*quantised_stage(model), x);
    const NoGrad no_grad;
    CHECK_SAME(shown.by_node.at("head"), model(x));
    std::map<std::string, Tensor> integers;
    model.inspect(x, [&](const std::string& node, const Tensor& q) { integers[node] = q; });
    for (const StageValue& value : shown.values) {
      CAPTURE(value.node);
      CHECK(value.input == (value.node == "input"));
      CHECK(value.output == (value.node == "head"));
      CHECK(value.accumulators == (value.node == "head" && !floats));
      // The image is only read in float where the first layer is float.
      CHECK((value.scale > 0) == !(value.output || (floats && value.input)));
      if (value.scale <= 0) continue;
      const auto node = model.graph().find(value.node);
      const ActivationQuantizer* own =
          value.input ? &model.input_quantizer(0) : model.node_quantizer(static_cast<size_t>(node));
      if (own != nullptr) CHECK(value.scale == own->scale(model.march()));
      const auto quantised = integers.find(value.node + ".quantized");
      const Tensor& q = quantised != integers.end() ? quantised->second : integers.at(value.node);
      REQUIRE(q.dtype() == DType::int8);
      bool equal = true, inside = true;
      for (int64_t i = 0; i < q.elements(); ++i) {
        const int8_t integer = q.data<int8_t>()[i];
        equal = equal && value.values.data<float>()[i] == static_cast<float>(integer) * value.scale;
        inside = inside && integer >= value.bounds.low && integer <= value.bounds.high;
      }
      CHECK(equal);
      CHECK(inside);
    }
  }
}

TEST_CASE("a quantised stage says what limits a value, and what it is made of") {
  const PreparedModel model = calibrated();
  std::map<std::string, StageValue> by_node;
  quantised_stage(model)->run(images({1, 8, 8, 3}), [&](const StageValue& value) { by_node[value.node] = value; });
  CHECK(by_node.at("stem").ceiling == 6);
  CHECK(by_node.at("stem").bounds.low == 0);
  CHECK(by_node.at("pool").ceiling == 6);  // no layer of its own, but what it lets through
  CHECK(by_node.at("pool").scale == by_node.at("stem").scale);
  CHECK(by_node.at("left").ceiling == INFINITY);
  CHECK(by_node.at("left").bounds.low == -128);
  CHECK(by_node.at("stem").inputs == std::vector<std::string>{"input"});
  CHECK(by_node.at("left").inputs == std::vector<std::string>{"pool", "pool"});
  float_stage(model)->run(images({1, 8, 8, 3}), [&](const StageValue& value) {
    CAPTURE(value.node);
    CHECK(value.inputs == by_node.at(value.node).inputs);
    CHECK(value.output == by_node.at(value.node).output);
    CHECK(value.input == by_node.at(value.node).input);
    CHECK(value.scale == 0);
  });
}

TEST_CASE("weights of a stage are those that it computes with") {
  for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
    const PreparedModel model = calibrated({.batch_norm = batch_norm});
    std::map<std::string, StageWeight> real, integers;
    float_stage(model)->weights([&](const StageWeight& weight) { real[weight.node] = weight; });
    quantised_stage(model)->weights([&](const StageWeight& weight) { integers[weight.node] = weight; });
    CHECK(real.size() == 4);
    REQUIRE(integers.size() == 4);
    for (const auto& entry : integers) {
      CAPTURE(entry.first);
      const StageWeight &q = entry.second, &w = real.at(entry.first);
      REQUIRE(q.values.spec() == w.values.spec());
      REQUIRE(static_cast<int64_t>(q.scales.size()) == w.values.size(0));
      CHECK(q.bias.size() == q.scales.size());
      CHECK(w.scales.empty());
      const int64_t each = w.values.elements() / w.values.size(0);
      double worst = 0;
      for (int64_t i = 0; i < w.values.elements(); ++i)
        worst = std::max(worst, static_cast<double>(std::abs(q.values.data<float>()[i] - w.values.data<float>()[i]) /
                                                    q.scales[static_cast<size_t>(i / each)]));
      CHECK(worst > 0.2);
      CHECK(worst <= 0.5001);
    }
  }
}

TEST_CASE("a healthy network compares well, int16 better, and diagnose is silent") {
  const test::TensorDataset data(images({8, 8, 8, 3}));
  const PreparedModel model = calibrated(), wide = calibrated(with_int16());
  const Comparison report = compare(*float_stage(model), *quantised_stage(model), data, {.batch = 3});
  CHECK(report.only_a.empty());
  CHECK(report.only_b.empty());
  for (const NodeComparison& n : report.nodes) {
    CAPTURE(n.node);
    REQUIRE(n.local.has_value());
    CHECK(n.local->sqnr > 30);
    CHECK(n.local->max_error < 4);
  }
  CHECK(to_string(diagnose(report)) == "no cause of lost accuracy found\n");

  const Comparison better = compare(*float_stage(wide), *quantised_stage(wide), data);
  const auto of = [](const Comparison& c, const std::string& node) {
    for (const NodeComparison& n : c.nodes)
      if (n.node == node) return n;
    return NodeComparison{};
  };
  CHECK(of(better, "left").bounds == Bounds{-32768, 32767});
  CHECK(of(better, "left").local->noise < of(report, "left").local->noise);
  CHECK(of(better, "left").local->used_levels < 0.1);
}

TEST_CASE("diagnose names hostile channels, and the layers that have them, first") {
  struct Plain : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 16, .kernel = 3}}, second{{.in = 16, .out = 16, .kernel = 3}};
    nn::Conv2d third{{.in = 16, .out = 16, .kernel = 1}};
    nn::Linear head{{.in = 16, .out = 5}};
    SINTER_CHILDREN(first, second, third, head)
    Tensor forward(const Tensor& x) const override {
      return head(mean(relu(third(relu(second(relu(first(x)))))), {1, 2}));
    }
  };
  auto net = test::randomized(Plain{});
  const auto hostile = net;
  // The float network stays what it is: what one layer multiplies, channel by channel over three orders of magnitude,
  // the next one divides by.
  for (const auto& [layer, next] : {std::pair{&hostile.first, &hostile.second}, {&hostile.second, &hostile.third}}) {
    Tensor weight = layer->weight.tensor(), bias = layer->bias.tensor(), reader = next->weight.tensor();
    for (int64_t c = 0; c < 16; ++c) {
      const float by = std::pow(10.0f, 3 * static_cast<float>(c * 7 % 16) / 15);
      bias.mutable_data<float>()[c] *= by;
      const int64_t each = weight.elements() / 16;
      for (int64_t i = 0; i < each; ++i) weight.mutable_data<float>()[c * each + i] *= by;
      for (int64_t i = c; i < reader.elements(); i += 16) reader.mutable_data<float>()[i] /= by;
    }
  }
  const auto diagnosed = [](const nn::Module& module) {
    PreparedModel model = prepare_qat(module, Tensor::zeros({1, 8, 8, 3}));
    set_fake_quantize(model, FakeQuantState::calibration);
    model(images({16, 8, 8, 3}));
    return diagnose(compare(*float_stage(model), *quantised_stage(model), test::TensorDataset(images({16, 8, 8, 3}))));
  };
  CHECK(diagnosed(net).empty());
  const std::vector<Finding> findings = diagnosed(hostile);
  CAPTURE(to_string(findings));
  REQUIRE(findings.size() >= 2);
  CHECK(findings[0].cause == "outlier channels in activations");
  CHECK(findings[0].share > 0.9);
  CHECK(std::set<std::string>(findings[0].nodes.begin(), findings[0].nodes.end()) ==
        std::set<std::string>{"first", "second"});
  CHECK(findings[1].cause == "outlier channels in weights");
  CHECK(std::set<std::string>(findings[1].nodes.begin(), findings[1].nodes.end()) ==
        std::set<std::string>{"second", "third"});
}

TEST_CASE("a model that was not observed has no quantised stage") {
  const PreparedModel model = prepare_qat(test::small_net(), Tensor::zeros({1, 8, 8, 3}));
  CHECK_ERROR(quantised_stage(model), "quantised_stage: nothing was observed for");
  CHECK(run(*float_stage(model), images({1, 8, 8, 3})).values.size() == model.graph().nodes.size() + 1);
}

TEST_CASE("a stage refuses other images") {
  const PreparedModel model = calibrated();
  const auto integers = quantised_stage(model), real = float_stage(model);
  const Tensor grey = images({2, 8, 8, 1});
  CHECK_ERROR(integers->run(grey, [](const StageValue&) {}),
              "quantised for bayes: got float32 [2,8,8,1], expected float32 [1,8,8,3] with any first axis");
  CHECK_ERROR(real->run(grey, [](const StageValue&) {}), "expected float32 [1,8,8,3]");
}
