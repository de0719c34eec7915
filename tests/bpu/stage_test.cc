#include "../../bpu/stage.h"

#include "../../bpu/compile.h"
#include "../../core/ops/relu6.h"
#include "../../quant/analysis/compare.h"
#include "../../quant/analysis/stages.h"
#include "../quant/analysis/stages.h"
#include "nets.h"

using namespace sinter;

namespace {

test::TensorDataset images() { return test::TensorDataset(test::formula_images({6, 17, 15, 3})); }

std::map<std::string, Tensor> values_of(const quant::Stage& stage, const Tensor& x) {
  std::map<std::string, Tensor> values;
  stage.run(x, [&](const quant::StageValue& value) { values[value.node] = value.values; });
  return values;
}

}  // namespace

TEST_CASE("nodes of a program alone, on its own values, give its own values") {
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli2}) {
    const bpu::Simulator simulator(bpu::compile(test::every_layer(*march)));
    const auto stage = bpu::program_stage(simulator);
    CHECK(stage->title() == "program for " + march->name);
    const auto values = values_of(*stage, images().images);
    size_t shown = 0;
    stage->run_alone(values, [&](const quant::StageValue& value) {
      CAPTURE(value.node);
      CHECK_SAME(value.values, values.at(value.node));
      ++shown;
    });
    CHECK(shown == simulator.program().instructions.size());
    CHECK(values.size() == shown + 1);
  }
}

TEST_CASE("a program against the float graph of its model: names, scales and errors") {
  const auto model = test::every_layer();
  const bpu::Simulator simulator(bpu::compile(model));
  const auto real = quant::float_stage(model), integers = bpu::program_stage(simulator);
  const quant::Comparison report = quant::compare(*real, *integers, images(), {.batch = 4});
  CHECK(report.only_a.empty());
  CHECK(report.only_b.empty());
  CHECK(report.images == 6);
  const bpu::Program& program = simulator.program();
  REQUIRE(report.nodes.size() == program.values.size());
  for (size_t i = 0; i < report.nodes.size(); ++i) {
    const quant::NodeComparison& n = report.nodes[i];
    const bpu::Value& value = program.values[i];
    CAPTURE(n.node);
    CHECK(n.node == value.name);
    CHECK(n.input == (i == 0));
    CHECK(n.output == (n.node == "head"));
    CHECK(n.accumulators == n.output);
    CHECK(n.scale == (n.output ? 0 : value.scale));
    if (!n.output) CHECK(n.bounds == quant::Bounds{value.low, value.high});
    CHECK(n.accumulated.sqnr > 20);
    REQUIRE(n.local.has_value());
    CHECK(n.local->sqnr > 30);
    CHECK(n.accumulated.noise >= n.local->noise);  // equal where the inputs are images
  }
  CHECK(report.nodes.back().inputs == std::vector<std::string>{"mean"});
  CHECK(report.weights.size() == 7);
  for (const quant::WeightComparison& w : report.weights) {
    CAPTURE(w.node);
    CHECK(w.sqnr > 35);
    CHECK(w.scale_min > 0);
    CHECK(w.scale_max >= w.scale_min);
  }
}

TEST_CASE("a stage compared with itself differs nowhere, alone neither") {
  const auto model = test::every_layer();
  const bpu::Simulator simulator(bpu::compile(model));
  const auto real = quant::float_stage(model), integers = bpu::program_stage(simulator);
  for (const quant::Stage* stage : {real.get(), integers.get()}) {
    const quant::Comparison report = quant::compare(*stage, *stage, images());
    CHECK(report.nodes.size() == simulator.program().values.size());
    for (const quant::NodeComparison& n : report.nodes) {
      CAPTURE(n.node);
      CHECK(n.accumulated.noise == 0);
      REQUIRE(n.local.has_value());
      CHECK(n.local->noise == 0);
    }
    for (const quant::WeightComparison& w : report.weights) CHECK(w.noise == 0);
  }
}

TEST_CASE("a program's stage shows the ceiling of a ReLU6 through what only moves values") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 3}}, head{{.in = 4, .out = 2, .kernel = 1}};
    nn::MaxPool2d pool{{.kernel = 2}};
    SINTER_CHILDREN(conv, head, pool)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = resize_bilinear(pad(pool(relu6(conv(x))), {.before = {0, 1, 0, 0}}), 2);
      return head(slice(pad(y, {.before = {0, 1, 0, 0}, .value = 7}), {.axis = 1, .begin = 1}));
    }
  };
  Net net;
  test::fill(net);
  const Tensor x = test::formula_images({2, 17, 15, 3});
  const bpu::Simulator simulator(bpu::compile(test::calibrated(net, x, quant::March::bayes)));
  std::map<std::string, float> ceilings;
  bpu::program_stage(simulator)->run(x, [&](const quant::StageValue& v) { ceilings[v.node] = v.ceiling; });
  CHECK(ceilings == std::map<std::string, float>{{"input", INFINITY},
                                                 {"conv", 6},
                                                 {"pool", 6},
                                                 {"pad", 6},
                                                 {"resize", 6},
                                                 {"pad#2", 7},
                                                 {"slice", 7},
                                                 {"head", INFINITY}});
}
