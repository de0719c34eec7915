// What runs a network over a dataset takes several inputs and outputs, and a metric of them.
#include <cmath>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../data/data_loader.h"
#include "../../nn/evaluate.h"
#include "../../nn/layers/batch_norm2d.h"
#include "../../nn/layers/conv2d.h"
#include "../../nn/losses/mse_loss.h"
#include "../../quant/analysis/compare.h"
#include "../../quant/analysis/report.h"
#include "../../quant/analysis/stages.h"
#include "../../quant/post_training/adaround.h"
#include "../../quant/post_training/bias_correction.h"
#include "../../quant/post_training/mixed_precision.h"
#include "../../quant/post_training/sensitivity.h"
#include "../../quant/recalibrate_bn.h"
#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// An image and a picture of depths of another size, and what a network is to say of them.
struct Scenes final : data::Dataset {
  int64_t count;
  explicit Scenes(int64_t n) : count(n) {}
  int64_t size() const override { return count; }
  Shape image_shape() const override { return {8, 8, 3}; }
  data::Sample sample(int64_t index) const override {
    Random random(7, static_cast<uint64_t>(index));
    data::Sample s{.image = Tensor::uniform({1, 8, 8, 3}, random, -1, 1)};
    s.targets["depth"] = Tensor::uniform({4, 4, 2}, random, 0, 2);
    s.targets["means"] = Tensor::uniform({2}, random, -1, 1);
    return s;
  }
};

struct Net : nn::Module {
  nn::Conv2d image{{.in = 3, .out = 6, .kernel = 3, .stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d bn{6};
  nn::Conv2d depth{{.in = 2, .out = 6, .kernel = 3, .padding = 1}};
  nn::Conv2d both{{.in = 6, .out = 6, .kernel = 3, .padding = 1}};
  nn::Conv2d mask{{.in = 6, .out = 2, .kernel = 1}}, means{{.in = 6, .out = 2, .kernel = 4}};
  SINTER_CHILDREN(image, bn, depth, both, mask, means)
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
    const Tensor y = relu(both(relu(bn(image(x[0]))) + relu(depth(x[1]))));
    return {mask(y), mean(means(y), {1, 2})};
  }
};

const std::vector<Tensor> kExamples{Tensor::zeros({1, 8, 8, 3}), Tensor::zeros({1, 4, 4, 2})};
const data::Inputs kInputs{"image", "depth"};

Net net() {
  manual_seed(3);
  return {};
}

QConfig bits(const std::string& dtype) {
  return get_default_qconfig({.activation_qkwargs = {{"dtype", dtype}}, .weight_qkwargs = {{"dtype", dtype}}});
}

PreparedModel calibrated(const data::Dataset& data, const PrepareOptions& options = {}) {
  PreparedModel model = prepare_qat(net(), kExamples, options);
  set_fake_quantize(model, FakeQuantState::calibration);
  const NoGrad no_grad;
  for (const auto& batch : data::DataLoader(data, {.batch = 16})) model(kInputs(batch));
  set_fake_quantize(model, FakeQuantState::validation);
  return model;
}

// How far the second output is from "means".
const nn::AnyMetric kError("mean_error", [](const nn::Outputs& y, const data::Batch& batch) {
  return static_cast<double>(mse_loss(y[1], batch["means"]).item());
});

// Of the float network, against which a prepared one in the state that it has is measured.
nn::Metrics to_teacher(const nn::Module& teacher) {
  return {{"fidelity", [&teacher](const nn::Outputs& y, const data::Batch& batch) {
             const NoGrad no_grad;
             const nn::ModeOverride evaluation(false);
             const auto expected = teacher(kInputs(batch));
             return 1 - static_cast<double>((mse_loss(y[0], expected[0]) + mse_loss(y[1], expected[1])).item());
           }}};
}

double measured(const PreparedModel& model, const data::Dataset& data, const nn::AnyMetric& metric) {
  return nn::evaluate(model, data, {.inputs = kInputs, .metrics = {metric}}).metrics.begin()->second;
}

}  // namespace

TEST_CASE("stages of networks with several inputs and outputs are compared, with a metric of both") {
  const Scenes data(40);
  PreparedModel model = calibrated(data);
  const auto real = float_stage(model), integers = quantised_stage(model);
  const Comparison c = compare(*real, *integers, data, {.batch = 12, .inputs = kInputs, .metrics = {kError}});
  CHECK(c.images == 40);
  CHECK(c.only_a.empty());
  CHECK(c.only_b.empty());
  int64_t inputs = 0, outputs = 0;
  for (const NodeComparison& node : c.nodes) {
    INFO(node.node);
    CHECK(node.accumulated.sqnr > 15);
    CHECK(node.local.has_value());
    inputs += node.input;
    outputs += node.output;
    if (node.input) CHECK(node.values == 40 * (node.node == model.input_name(0) ? 192 : 32));
  }
  CHECK(inputs == 2);
  CHECK(outputs == 2);
  CHECK(c.metrics_b.at("mean_error") == doctest::Approx(measured(model, data, kError)).epsilon(1e-6));
  set_fake_quantize(model, FakeQuantState::calibration);
  CHECK(c.metrics_a.at("mean_error") == doctest::Approx(measured(model, data, kError)).epsilon(1e-6));
  CHECK(to_string(c).find("mean_error: 0.") != std::string::npos);
  CHECK_ERROR(compare(*real, *integers, data), "float: got 1 inputs, expected 2");
}

TEST_CASE("nodes are ranked by a metric or loss of a network with several inputs and outputs") {
  const Scenes data(48);
  const Net teacher = net();
  for (const std::string hurt : {"both", "depth"}) {
    const PreparedModel model = calibrated(data, {.by_path = {{hurt, bits("int2")}}});
    SensitivityOptions options{
        .batch = 20, .task = {.inputs = kInputs, .metrics = to_teacher(teacher)}, .rank_by = Cost::metric};
    const Sensitivity s = sensitivity(model, data, options);
    CAPTURE(to_string(s));
    CHECK(s.metric == "fidelity");
    CHECK(s.in_float.metrics.at("fidelity") > 1 - 1e-6);
    CHECK(std::abs(s.quantized.metrics.at("fidelity") - measured(model, data, to_teacher(teacher)[0])) < 0.02);
    CHECK(s.nodes[0].node == hurt);
    for (size_t i = 1; i < s.nodes.size(); ++i)
      CHECK(s.nodes[i - 1].outcome.metrics.at("fidelity") <= s.nodes[i].outcome.metrics.at("fidelity"));
    CHECK(std::isnan(s.in_float.accuracy));

    // The other way round where less is better, and by a loss.
    options.task.larger_is_better = false;
    CHECK(sensitivity(model, data, options).nodes.back().node == hurt);
    options.task.loss = [&](const nn::Outputs& y, const data::Batch& batch) {
      const auto expected = teacher(kInputs(batch));
      return mse_loss(y[0], expected[0]) + mse_loss(y[1], expected[1]);
    };
    options.rank_by = Cost::loss;
    const Sensitivity by_loss = sensitivity(model, data, options);
    CHECK(by_loss.nodes[0].node == hurt);
    CHECK(by_loss.nodes[0].outcome.loss == doctest::Approx(1 - by_loss.nodes[0].outcome.metrics.at("fidelity")));
  }
  const PreparedModel model = calibrated(data);
  CHECK_ERROR(sensitivity(model, data), "sensitivity: the network has 2 inputs, but 1 is read of the dataset (image)");
  CHECK_ERROR(sensitivity(model, data, {.task = {.inputs = kInputs}, .rank_by = Cost::metric}),
              "sensitivity: ranks by a metric, but none are given");
  CHECK_ERROR(
      sensitivity(model, data,
                  {.task = {.inputs = kInputs, .metrics = {kError}, .metric = "mIoU"}, .rank_by = Cost::metric}),
      "ranks by a metric, 'mIoU', but `.metric` names none of those that there are: mean_error");
  const nn::AnyMetric nan("nan", [](const nn::Outputs&, const data::Batch&) { return std::nan(""); });
  CHECK_ERROR(sensitivity(model, data, {.task = {.inputs = kInputs, .metrics = {nan}}, .rank_by = Cost::metric}),
              "ranks by nan, but that is NaN for the float network");
  CHECK_ERROR(sensitivity(model, data, {.task = {.inputs = kInputs}, .rank_by = Cost::loss}),
              "give a loss, or take a metric, or noise");
}

TEST_CASE("mixed precision keeps a metric of a network with several inputs and outputs") {
  const Scenes data(32);
  const Net teacher = net();
  const MixedPrecisionOptions options{.prepare = {.qconfig = bits("int4")},
                                      .task = {.inputs = kInputs, .metrics = to_teacher(teacher)},
                                      .target = Cost::metric,
                                      .allowed = 0.03,
                                      .batch = 16};
  const MixedPrecision found = mixed_precision(teacher, kExamples, data, options);
  CAPTURE(to_string(found));
  CHECK(found.metric == "fidelity");
  CHECK(found.reached);
  CHECK(found.low.metrics.at("fidelity") < found.mixed.metrics.at("fidelity"));
  CHECK(found.mixed.metrics.at("fidelity") >= found.in_float.metrics.at("fidelity") - 0.03);
  PrepareOptions chosen = options.prepare;
  chosen.by_path = found.by_path;
  CHECK(std::abs(measured(calibrated(data, chosen), data, to_teacher(teacher)[0]) -
                 found.mixed.metrics.at("fidelity")) < 0.01);
  CHECK_ERROR(mixed_precision(teacher, kExamples, data), "mixed_precision: the network has 2 inputs, but 1 is read");
}

TEST_CASE("biases are corrected in a network with several inputs and outputs") {
  const Scenes data(64);
  PreparedModel model = calibrated(data, {.qconfig = bits("int4")});
  const auto report = correct_bias(model, data, {.batch = 16, .batches = 0, .inputs = kInputs});
  CHECK(report.size() == 5);
  // Corrected once, the means of what the heads give are the float network's, which is a second call's measure.
  const Net teacher = net();
  std::vector<double> shift(2), before(2);
  const PreparedModel plain = calibrated(data, {.qconfig = bits("int4")});
  const NoGrad no_grad;
  const nn::ModeOverride evaluation(false);
  for (const auto& batch : data::DataLoader(data, {.batch = 64})) {
    const auto expected = teacher(kInputs(batch)), found = model(kInputs(batch)), without = plain(kInputs(batch));
    for (size_t i = 0; i < 2; ++i) {
      shift[i] = static_cast<double>(mean(found[i] - expected[i]).item());
      before[i] = static_cast<double>(mean(without[i] - expected[i]).item());
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    CAPTURE(before[i]);
    CHECK(std::abs(shift[i]) < 0.1 * std::abs(before[i]));
  }
  CHECK_ERROR(correct_bias(model, data), "correct_bias: the network has 2 inputs, but 1 is read of the dataset");
}

TEST_CASE("roundings are learned in a network with several inputs and outputs") {
  const Scenes data(64);
  PreparedModel model = calibrated(data, {.by_path = {{"depth.weight", bits("int4")}, {"both.weight", bits("int4")}}});
  const Net teacher = net();
  const double before = measured(model, data, to_teacher(teacher)[0]);
  const auto report = adaround(model, data, {.batch = 32, .batches = 0, .iterations = 120, .inputs = kInputs});
  CHECK(report.size() == 5);
  int64_t changed = 0;
  for (const RoundedLayer& layer : report) {
    INFO(layer.name);
    CHECK(layer.skipped.empty());
    CHECK(layer.error <= layer.nearest_error);
    changed += layer.changed;
  }
  CHECK(changed > 0);
  CHECK(measured(model, data, to_teacher(teacher)[0]) > before);
  CHECK_ERROR(adaround(model, data), "adaround: the network has 2 inputs, but 1 is read of the dataset");
}

TEST_CASE("batch normalisation is re-estimated in a network with several inputs") {
  // One that reads the image twice has the statistics of twice the image.
  struct Doubled : nn::Module {
    nn::BatchNorm2d bn{3};
    SINTER_CHILDREN(bn)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      return {bn(x.size() == 2 ? x[0] + x[1] : x[0] * 2)};
    }
  };
  const Scenes data(20);
  Doubled two, one;
  recalibrate_bn(two, data, {.batch = 8, .inputs = {"image", "image"}});
  recalibrate_bn(one, data, {.batch = 8});
  CHECK_SAME(two.bn.running_mean.tensor(), one.bn.running_mean.tensor());
  CHECK_SAME(two.bn.running_var.tensor(), one.bn.running_var.tensor());
}
