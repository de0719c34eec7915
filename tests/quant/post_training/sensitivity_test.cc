#include "../../../quant/post_training/sensitivity.h"

#include "../../../data/data_loader.h"
#include "../../../nn/fit.h"
#include "../analysis/stages.h"
#include "labelled.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

PreparedModel calibrated(const nn::Module& model, const data::Dataset& data, const PrepareOptions& options = {}) {
  PreparedModel prepared = prepare_qat(model, kExample, options);
  set_fake_quantize(prepared, FakeQuantState::calibration);
  const NoGrad no_grad;
  // In batches: averages of single images' ranges clip more than what is looked for here costs.
  for (const auto& batch : data::DataLoader(data, {.batch = 24})) prepared(batch.images);
  set_fake_quantize(prepared, FakeQuantState::validation);
  return prepared;
}

QConfig bits(const std::string& dtype) {
  return get_default_qconfig({.activation_qkwargs = {{"dtype", dtype}}, .weight_qkwargs = {{"dtype", dtype}}});
}

}  // namespace

TEST_CASE("the node that hurts is ranked first") {
  const auto net = test::confident_net();
  const auto data = test::labelled_images(net, 48);
  for (const std::string hurt : {"body.0.conv2", "mean", "head"}) {
    const PreparedModel model = calibrated(net, data, {.by_path = {{hurt, bits("int2")}}});
    for (const Cost cost : {Cost::noise, Cost::loss, Cost::accuracy}) {
      const Sensitivity s = sensitivity(model, data, {.batch = 20, .rank_by = cost});
      CAPTURE(to_string(s));
      CHECK(s.images == 48);
      if (cost != Cost::loss) CHECK(s.nodes[0].node == hurt);  // the loss of a wrong network may be lower
      CHECK(s.nodes.size() == 9);
      for (size_t i = 1; i < s.nodes.size(); ++i) {
        const Outcome &a = s.nodes[i - 1].outcome, &b = s.nodes[i].outcome;
        CHECK((cost == Cost::noise  ? a.noise >= b.noise
               : cost == Cost::loss ? a.loss >= b.loss
                                    : a.accuracy <= b.accuracy));
      }
    }
  }
}

TEST_CASE("nothing quantised is the float network, everything is VALIDATION, and noises add up") {
  const auto net = test::confident_net();
  const auto data = test::labelled_images(net, 40);
  for (const char* dtype : {"int8", "int4"}) {
    PreparedModel model = calibrated(net, data, {.qconfig = bits(dtype)});
    const Sensitivity s = sensitivity(model, data, {.batches = 0});
    const nn::Evaluation quantized = nn::evaluate(model, data);
    set_fake_quantize(model, FakeQuantState::calibration);
    const nn::Evaluation in_float = nn::evaluate(model, data);
    CHECK(s.in_float.noise == 0);
    CHECK(s.in_float.accuracy == 100);
    CHECK(std::abs(s.in_float.loss - in_float.loss) < 1e-6);
    CHECK(std::abs(s.quantized.loss - quantized.loss) < 0.01);
    CHECK(std::abs(s.quantized.accuracy - quantized.accuracy) <= 2.5);  // one image
    double sum = 0;
    for (const NodeSensitivity& node : s.nodes) sum += node.outcome.noise;
    CHECK(sum > 0.4 * s.quantized.noise);
    CHECK(sum < 2.5 * s.quantized.noise);
  }
}

TEST_CASE("the limit of a ReLU6 on its own is rounded, as VALIDATION has it") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
    nn::MaxPool2d pool{{.kernel = 2}};
    SINTER_CHILDREN(conv, pool)
    Tensor forward(const Tensor& x) const override { return relu6(pool(conv(x))); }
  };
  auto net = test::randomized(Net{});
  for (float& w : std::span(net.conv.weight.tensor().mutable_data<float>(), 216)) w *= 20;
  const auto data = test::labelled_images(test::small_net(), 16);
  const PreparedModel model = calibrated(net, data);
  const Sensitivity s = sensitivity(model, data);
  CAPTURE(to_string(s));
  double signal = 0, noise = 0;
  const NoGrad no_grad;
  for (int64_t i = 0; i < data.size(); ++i) {
    const Tensor x = data[i].image, found = model(x), expected = test::float_output(model, x);
    for (int64_t k = 0; k < expected.elements(); ++k) {
      signal += std::pow(expected.data<float>()[k], 2);
      noise += std::pow(found.data<float>()[k] - expected.data<float>()[k], 2);
    }
  }
  CHECK(std::abs(s.quantized.sqnr() - 10 * std::log10(signal / noise)) < 0.1);
  CHECK(std::any_of(s.nodes.begin(), s.nodes.end(), [](const NodeSensitivity& node) { return node.node == "relu6"; }));
}

TEST_CASE("images are drawn with the seed, as many as asked for; nodes are shown in the graph's order") {
  const auto net = test::confident_net();
  const auto data = test::labelled_images(net, 48);
  const PreparedModel model = calibrated(net, data);
  std::vector<std::string> seen;
  const SensitivityOptions options{
      .batch = 4, .batches = 2, .on_node = [&](const std::string& node) { seen.push_back(node); }};
  const Sensitivity one = sensitivity(model, data, options);
  CHECK(one.images == 8);
  CHECK(seen == std::vector<std::string>{"input", "stem", "body.0.conv1", "body.0.conv2", "body.1.conv1",
                                         "body.1.conv2", "body.1.shortcut.conv", "mean", "head"});
  CHECK(sensitivity(model, data, options).quantized.noise == one.quantized.noise);
  SensitivityOptions other = options;
  other.seed = 1;
  CHECK(sensitivity(model, data, other).quantized.noise != one.quantized.noise);
}

TEST_CASE("networks that are no classifiers are ranked by noise alone") {
  struct Pixels : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 2, .kernel = 3, .padding = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  const auto data = test::labelled_images(test::small_net(), 8);
  const PreparedModel model = calibrated(test::randomized(Pixels{}), data);
  const Sensitivity s = sensitivity(model, data);
  CHECK(s.nodes.size() == 2);
  CHECK(s.nodes[0].outcome.noise > 0);
  CHECK(std::isnan(s.nodes[0].outcome.loss));
  CHECK_ERROR(sensitivity(model, data, {.rank_by = Cost::loss}),
              "sensitivity: ranks by loss, but the network does not give one tensor of logits [N,classes]");
}

TEST_CASE("outputs that are not finite are an error, not perfect") {
  const PreparedModel model = calibrated(test::small_net(), test::labelled_images(test::small_net(), 4));
  Tensor x = test::images({4, 8, 8, 3});
  x.mutable_data<float>()[200] = NAN;
  CHECK_ERROR(sensitivity(model, test::TensorDataset(x)), "sensitivity: outputs of the float network are not finite");
}

TEST_CASE("the report is a table") {
  const Sensitivity s{.ranked_by = Cost::loss,
                      .images = 64,
                      .in_float = {.loss = 0.5, .accuracy = 80},
                      .quantized = {.noise = 0.01, .loss = 0.75, .accuracy = 75.5},
                      .nodes = {{"stem", {.noise = 0.001, .loss = 0.6, .accuracy = 79}},
                                {"head", {.noise = 0.0001, .loss = std::nan(""), .accuracy = std::nan("")}}}};
  CHECK(to_string(s) ==
        "each alone, on 64 images, by loss\n"
        "quantised     SQNR dB    loss  accuracy %\n"
        "(nothing)         inf  0.5000       80.00\n"
        "(everything)     20.0  0.7500       75.50\n"
        "stem             30.0  0.6000       79.00\n"
        "head             40.0       -           -\n");
}

TEST_CASE("sensitivity wants a calibrated model") {
  const auto data = test::labelled_images(test::small_net(), 2);
  CHECK_ERROR(sensitivity(prepare_qat(test::small_net(), kExample), data),
              "sensitivity: nothing was observed for input");
}
