#include "../../../quant/post_training/mixed_precision.h"

#include "../../../data/data_loader.h"
#include "../../../nn/fit.h"
#include "labelled.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

QConfig bits(const std::string& activation, const std::string& weight) {
  return get_default_qconfig({.activation_qkwargs = {{"dtype", activation}}, .weight_qkwargs = {{"dtype", weight}}});
}

// What `hidden` gives is small but for one channel, which nothing reads: in few bits the others round to zero.
test::ChainNet with_an_outlier() {
  auto net = test::randomized(test::ChainNet{});
  net.hidden.bias.tensor().mutable_data<float>()[3] = 5;
  Tensor weight = net.head.weight.tensor();
  for (int64_t i = 0; i < weight.elements(); ++i) weight.mutable_data<float>()[i] *= i % 10 == 3 ? 0 : 20;
  return net;
}

std::vector<std::string> raised(const MixedPrecision& report) {
  std::vector<std::string> names;
  for (const MixedNode& node : report.nodes)
    if (node.raised) names.push_back(node.name);
  return names;
}

const MixedNode& node(const MixedPrecision& report, const std::string& name) {
  for (const MixedNode& n : report.nodes)
    if (n.name == name) return n;
  fail("no node ", name);
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("the layer that is known to hurt is raised, and no other where it is enough") {
  const auto net = with_an_outlier();
  const auto data = test::labelled_images(net, 48);
  const MixedPrecisionOptions options{
      .prepare = {.qconfig = bits("int4", "int8")}, .target = Cost::noise, .allowed = 0.05};
  const MixedPrecision report = mixed_precision(net, kExample, data, options);
  CAPTURE(to_string(report));
  CHECK(raised(report) == Names{"hidden"});
  CHECK(report.reached);
  CHECK(report.low.noise > 0.05);
  CHECK(report.mixed.noise <= 0.05);
  CHECK(report.high.noise < report.mixed.noise);
  CHECK(report.in_float.accuracy == 100);
  REQUIRE(report.by_path.size() == 1);
  CHECK(report.by_path.at("hidden") == get_default_qconfig());
  CHECK(report.activation_bits > 4);
  CHECK(report.activation_bits < 4.1);  // ten values of many
  CHECK(report.weight_bits == 8);
}

TEST_CASE(
    "nodes are raised by what they gain until the target is reached, and by_path is the network that was measured") {
  const auto net = with_an_outlier();
  const auto data = test::labelled_images(net, 40);
  for (const Cost target : {Cost::noise, Cost::loss, Cost::accuracy}) {
    Names seen;
    const MixedPrecisionOptions options{
        .prepare = {.qconfig = bits("int4", "int4")},
        .target = target,
        .allowed = target == Cost::noise  ? 0.02
                   : target == Cost::loss ? 0.05
                                          : 2.5,
        .on_raised = [&](const std::string& name, const Outcome&) { seen.push_back(name); }};
    const MixedPrecision report = mixed_precision(net, kExample, data, options);
    CAPTURE(to_string(report));
    CHECK(report.reached);
    const Names names = raised(report);
    CHECK(names == seen);
    CHECK(names.size() >= 1);
    CHECK(names.size() < 9);
    for (size_t i = 1; i < report.nodes.size(); ++i)
      CHECK(report.nodes[i - 1].noise_low - report.nodes[i - 1].noise_high >=
            report.nodes[i].noise_low - report.nodes[i].noise_high);
    const Outcome before = names.size() > 1 ? report.nodes[names.size() - 2].outcome : report.low;
    if (target == Cost::noise) CHECK(before.noise > options.allowed);
    if (target == Cost::loss) CHECK(before.loss - report.in_float.loss > options.allowed);
    if (target == Cost::accuracy) CHECK(report.in_float.accuracy - before.accuracy > options.allowed);

    PrepareOptions chosen = options.prepare;
    chosen.by_path = report.by_path;
    PreparedModel model = prepare_qat(net, kExample, chosen);
    set_fake_quantize(model, FakeQuantState::calibration);
    {
      const NoGrad no_grad;
      for (const auto& batch : data::DataLoader(data, {.batch = 128, .batches = 8})) model(batch.images);
    }
    set_fake_quantize(model, FakeQuantState::validation);
    const nn::Evaluation evaluation = nn::evaluate(model, data);
    CHECK(evaluation.accuracy == report.mixed.accuracy);
    CHECK(std::abs(evaluation.loss - report.mixed.loss) < 1e-6);
  }
}

TEST_CASE("a target that cannot be reached raises everything, one that is reached already nothing") {
  const auto net = test::confident_net();
  const auto data = test::labelled_images(net, 16);
  MixedPrecisionOptions options{.prepare = {.qconfig = bits("int4", "int4")}, .target = Cost::noise, .allowed = 0};
  const MixedPrecision all = mixed_precision(net, kExample, data, options);
  CHECK_FALSE(all.reached);
  CHECK(raised(all).size() == 9);
  CHECK(all.mixed.noise == all.high.noise);
  CHECK(all.weight_bits == 8);
  options.allowed = 1;
  const MixedPrecision none = mixed_precision(net, kExample, data, options);
  CHECK(none.reached);
  CHECK(none.by_path.empty());
  CHECK(none.mixed.noise == none.low.noise);
  CHECK(none.weight_bits == 4);
  CHECK(none.activation_bits == 4);
}

TEST_CASE("what is configured by path stays so; int16 where the march has it for a node") {
  const auto net = test::confident_net();
  const auto data = test::labelled_images(net, 16);
  March march = March::bayes;
  march.int16_kernel = 100;
  const MixedPrecisionOptions options{.prepare = {.by_path = {{"stem", bits("int4", "int4")}}, .march = march},
                                      .high = bits("int16", "int8"),
                                      .target = Cost::noise,
                                      .allowed = 0};
  const MixedPrecision report = mixed_precision(net, kExample, data, options);
  CAPTURE(to_string(report));
  CHECK(node(report, "stem").reason == "configured by path stem");
  CHECK(report.by_path.at("stem") == bits("int4", "int4"));
  CHECK(node(report, "body.1.conv1").reason.find("body.1.conv2 (144): int16 read by kernels of so many weights") !=
        std::string::npos);
  CHECK(node(report, "body.0.conv1").raised);
  CHECK(report.by_path.count("body.1.conv1") == 0);
  CHECK(report.activation_bits > 8);
  CHECK(node(report, "head").reason == "has the high precision already");
  MixedPrecisionOptions other = options;
  other.prepare.march = March::bernoulli;
  CHECK_ERROR(mixed_precision(net, kExample, data, other),
              "mixed_precision: no node can be raised to activation fake_quant min_max{dtype=int16}");
}

TEST_CASE("a raised node takes no other along, whatever their names are") {
  const auto net = test::randomized(test::EveryLayer{});
  const auto data = test::labelled_images(net, 16);
  MixedPrecisionOptions options{.prepare = {.qconfig = bits("int4", "int8")}, .target = Cost::noise, .allowed = 0};
  for (const char* path : {"input", "stem", "depthwise", "grouped", "wide", "hidden", "head"})
    options.prepare.by_path[path] = get_default_qconfig();
  const MixedPrecision both = mixed_precision(net, kExample, data, options);
  REQUIRE(raised(both).size() == 2);
  options.allowed = node(both, raised(both)[0]).outcome.noise;
  const MixedPrecision one = mixed_precision(net, kExample, data, options);
  CAPTURE(to_string(one));
  REQUIRE(raised(one) == Names{"add"});
  PrepareOptions chosen = options.prepare;
  chosen.by_path = one.by_path;
  const PreparedModel model = prepare_qat(net, kExample, chosen);
  const auto type = [&](const char* name) {
    return model.node_quantizer(static_cast<size_t>(model.graph().find(name)))->config().bits;
  };
  CHECK(type("add") == 8);
  CHECK(type("add#2") == 4);
}

TEST_CASE("calls of one layer are raised together, and their weights count once") {
  struct Twice : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 3, .padding = 1}};
    nn::Linear head{{.in = 3, .out = 5}};
    SINTER_CHILDREN(conv, head)
    Tensor forward(const Tensor& x) const override { return head(mean(relu(conv(relu(conv(x)))), {1, 2})); }
  };
  const auto net = test::randomized(Twice{});
  const auto data = test::labelled_images(net, 16);
  MixedPrecisionOptions options{.prepare = {.qconfig = bits("int8", "int4")}, .target = Cost::noise, .allowed = 0};
  const MixedPrecision both = mixed_precision(net, kExample, data, options);
  CAPTURE(to_string(both));
  REQUIRE(raised(both) == Names{"conv", "head"});
  CHECK(both.weight_bits == 8);
  options.allowed = both.nodes[0].outcome.noise;
  const MixedPrecision one = mixed_precision(net, kExample, data, options);
  CHECK(raised(one) == Names{"conv"});
  CHECK(one.by_path.at("conv") == get_default_qconfig());
  CHECK(one.by_path.at("conv#2") == get_default_qconfig());
  CHECK(one.weight_bits == doctest::Approx((81 * 8 + 15 * 4) / 96.0));
  // Both calls were measured.
  PreparedModel model = prepare_qat(net, kExample, options.prepare);
  set_fake_quantize(model, FakeQuantState::calibration);
  const NoGrad no_grad;
  for (const auto& batch : data::DataLoader(data, {.batch = 128})) model(batch.images);
  const Sensitivity alone = sensitivity(model, data);
  for (const NodeSensitivity& n : alone.nodes)
    if (n.node.starts_with("conv")) CHECK(both.nodes[0].noise_low > n.outcome.noise);
}

TEST_CASE("mixed_precision wants labels for its target") {
  struct Pixels : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return conv(x); }
  };
  const auto data = test::labelled_images(test::small_net(), 4);
  CHECK_ERROR(mixed_precision(Pixels{}, kExample, data, {.prepare = {.qconfig = bits("int4", "int4")}}),
              "mixed_precision: the target is of accuracy, but the network does not give one tensor of logits");
}
