#include "../../bpu/stage.h"

#include <cmath>

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
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli}) {
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

namespace {

// What two tensors are apart, by plain loops.
struct Plain {
  double cosine = 0, sqnr = 0, largest = 0, mean = 0, reach = 0;

  Plain(const Tensor& x, const Tensor& y) {
    double xx = 0, yy = 0, xy = 0, ee = 0;
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double u = x.data<float>()[i], v = y.data<float>()[i];
      xx += u * u, yy += v * v, xy += u * v, ee += (v - u) * (v - u);
      largest = std::max(largest, std::abs(v - u));
      mean += std::abs(v - u) / static_cast<double>(x.elements());
      reach = std::max(reach, std::abs(u));
    }
    cosine = xy / std::sqrt(xx * yy);
    sqnr = 10 * std::log10(xx / ee);
  }
};

std::map<std::string, Tensor> weights_of(const quant::Stage& stage) {
  std::map<std::string, Tensor> weights;
  stage.weights([&](const quant::StageWeight& weight) { weights[weight.node] = weight.values; });
  return weights;
}

// Compares, and checks every number against plain loops. `scales`: of b, by node.
quant::Comparison checked(const quant::Stage& a, const quant::Stage& b, const std::map<std::string, float>& scales) {
  const auto data = images();
  const quant::Comparison report = quant::compare(a, b, data, {.batch = 4});
  const auto of_a = values_of(a, data.images), of_b = values_of(b, data.images);
  CHECK(report.a == a.title());
  CHECK(report.b == b.title());
  CHECK(report.nodes.size() == of_b.size());
  const auto check_numbers = [](const quant::Difference& d, const Plain& plain, double unit) {
    CHECK(d.cosine == doctest::Approx(plain.cosine).epsilon(1e-12));
    CHECK(d.max_error == doctest::Approx(plain.largest / unit).epsilon(1e-12));
    CHECK(d.mean_error == doctest::Approx(plain.mean / unit).epsilon(1e-9));
    if (plain.largest == 0)
      CHECK(d.sqnr == INFINITY);
    else
      CHECK(d.sqnr == doctest::Approx(plain.sqnr).epsilon(1e-9));
  };
  std::map<std::string, Tensor> alone;
  b.run_alone(of_a, [&](const quant::StageValue& value) { alone[value.node] = value.values; });
  for (const quant::NodeComparison& n : report.nodes) {
    CAPTURE(n.node);
    const Plain plain(of_a.at(n.node), of_b.at(n.node));
    const auto scale = scales.find(n.node);
    const double unit = scale != scales.end() ? static_cast<double>(scale->second) : plain.reach / 127.5;
    CHECK(n.unit == doctest::Approx(unit).epsilon(1e-6));
    check_numbers(n.accumulated, plain, n.unit);
    REQUIRE(n.local.has_value());
    const Tensor& own = n.input ? of_b.at(n.node) : alone.at(n.node);
    check_numbers(*n.local, Plain(of_a.at(n.node), own), n.unit);
  }
  const auto w_a = weights_of(a), w_b = weights_of(b);
  CHECK(report.weights.size() == w_a.size());
  for (const quant::WeightComparison& w : report.weights) {
    CAPTURE(w.node);
    const Plain plain(w_a.at(w.node), w_b.at(w.node));
    CHECK(w.cosine == doctest::Approx(plain.cosine).epsilon(1e-12));
    if (plain.largest == 0)
      CHECK(w.sqnr == INFINITY);
    else
      CHECK(w.sqnr == doctest::Approx(plain.sqnr).epsilon(1e-9));
  }
  return report;
}

double mean_sqnr(const quant::Comparison& report) {
  double sum = 0;
  for (const quant::NodeComparison& n : report.nodes) sum += n.accumulated.sqnr;
  return sum / static_cast<double>(report.nodes.size());
}

}  // namespace

TEST_CASE("float, calibrated, QAT and program are compared pair by pair, with the numbers of plain loops") {
  const Tensor x = images().images;
  test::EveryInstruction net;
  test::fill(net);
  net.eval();
  const quant::PreparedModel calibrated = test::every_layer();
  quant::PreparedModel qat = calibrated;
  quant::set_fake_quantize(qat, quant::FakeQuantState::qat);
  for (int64_t step = 0; step < 3; ++step) {
    Tensor y = qat(test::formula_images({4, 17, 15, 3}));
    y.backward(test::normal(y.shape(), static_cast<uint64_t>(step)));
    for (const NamedParameter& parameter : qat.parameters()) {
      Tensor value = parameter.value.tensor();
      for (int64_t i = 0; i < value.elements(); ++i)
        value.mutable_data<float>()[i] -= 3e-3f * value.grad().data<float>()[i];
      value.set_grad({});
    }
  }
  const bpu::Simulator simulator(bpu::compile(qat));
  const auto real = quant::float_stage(calibrated), before = quant::quantised_stage(calibrated),
             after = quant::quantised_stage(qat), program = bpu::program_stage(simulator);
  // The stages are what they are called.
  const auto values = values_of(*program, x);
  std::map<std::string, float> scales, scales_before;
  simulator.inspect({&x, 1}, [&](const std::string& name, const Tensor& q) {
    if (q.dtype() != DType::int8) return;
    for (const bpu::Value& value : simulator.program().values)
      if (value.name == name) scales[name] = value.scale;
    Tensor dequantised = Tensor::empty(q.shape());
    for (int64_t i = 0; i < q.elements(); ++i)
      dequantised.mutable_data<float>()[i] = static_cast<float>(q.data<int8_t>()[i]) * scales[name];
    CHECK_SAME(values.at(name), dequantised);
  });
  CHECK(scales.size() == values.size() - 1);
  before->run(x, [&](const quant::StageValue& value) {
    if (value.scale > 0) scales_before[value.node] = value.scale;
  });
  CHECK(scales_before != scales);  // QAT observes on
  CHECK_CLOSE(values_of(*real, x).at("head"), net(x).detach(), 1e-4, 1e-4);

  const quant::Comparison float_calibrated = checked(*real, *before, scales_before),
                          float_qat = checked(*real, *after, scales), calibrated_qat = checked(*before, *after, scales),
                          qat_program = checked(*after, *program, scales),
                          float_program = checked(*real, *program, scales);
  for (const quant::NodeComparison& n : qat_program.nodes) CHECK(n.accumulated.max_error == 0);
  for (const quant::WeightComparison& w : qat_program.weights) CHECK(w.noise == 0);
  for (size_t i = 0; i < float_qat.nodes.size(); ++i)
    CHECK(float_program.nodes[i].accumulated.noise == float_qat.nodes[i].accumulated.noise);
  // Training went away from where it started.
  CHECK(mean_sqnr(float_calibrated) > mean_sqnr(float_qat) + 3);
  for (const quant::WeightComparison& w : calibrated_qat.weights) CHECK(w.noise > 0);
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
