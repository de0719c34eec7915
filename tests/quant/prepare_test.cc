#include "../../quant/prepare.h"

#include <cmath>
#include <limits>

#include "../../bpu/compile.h"
#include "../../bpu/simulator.h"
#include "../../core/autograd.h"
#include "../../core/ops/argmax.h"
#include "../../core/ops/concat.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/slice.h"
#include "../../core/ops/topk.h"
#include "../../core/serialize.h"
#include "../../nn/checkpoint.h"
#include "../../nn/fit.h"
#include "../../quant/analysis/warnings.h"
#include "../../quant/calibration_v1.h"
#include "../../quant/fuse.h"
#include "../../quant/traced_network.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;
using test::calibrated;
using test::check_same_state;
using test::images;
using test::kObservers;
using test::prepared;
using test::ranges;
using test::run;
using test::set_ranges;
using test::small_dataset;
using test::state_of;

namespace {

using Names = std::vector<std::string>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const Tensor& kExample = test::kSmallExample;

}  // namespace

TEST_CASE("a prepared model starts in QAT, for the march that was asked for or the thread's default") {
  CHECK(prepared().state() == FakeQuantState::qat);
  CHECK(prepared().training());
  CHECK(prepared().march() == March::bayes);
  CHECK(prepared({.march = March::nash}).march() == March::nash);
  set_march(March::bernoulli);
  CHECK(prepared().march() == March::bernoulli);
  CHECK(prepared({.march = March::bayes}).march() == March::bayes);
  set_march(March::bayes);
}

TEST_CASE("an example is a batch of any size or one image; the graph does not depend on it") {
  const auto model = test::small_net();
  const PreparedModel one = prepare_qat(model, Tensor::zeros({8, 8, 3}));
  CHECK(one.fingerprint() == prepare_qat(model, Tensor::zeros({1, 8, 8, 3})).fingerprint());
  CHECK(one.fingerprint() == prepare_qat(model, Tensor::zeros({7, 8, 8, 3})).fingerprint());
  CHECK(one.fingerprint() == prepare_qat(test::small_net(9), Tensor::zeros({8, 8, 3})).fingerprint());
  CHECK(one.fingerprint() != prepare_qat(model, Tensor::zeros({6, 6, 3})).fingerprint());
  CHECK(one.fingerprint() != prepare_qat(test::EveryLayer{}, Tensor::zeros({8, 8, 3})).fingerprint());
}

TEST_CASE("an example of three axes is what the network takes: one image, or a batch") {
  struct Tokens : nn::Module {
    SINTER_CHILDREN()
    Tensor forward(const Tensor& x) const override { return flatten(relu(x + reshape(x, {-1, 4, 5})), 1); }
  };
  const Tensor x = images({3, 4, 5});
  PreparedModel model = prepare_qat(Tokens{}, x);
  CHECK(model.graph().inputs[0].shape == Shape{1, 4, 5});
  set_fake_quantize(model, FakeQuantState::calibration);
  model(x);
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_CLOSE(run(model, x), Tokens{}(x), 0, 0.02);
  const auto calibrated_v1 = prepare_calibration(Tokens{}, x);
  calibrated_v1(x);
  CHECK(prepare_qat(calibrated_v1, x).graph().inputs[0].shape == Shape{1, 4, 5});

  struct Both : nn::Module {
    SINTER_CHILDREN()
    Tensor forward(const Tensor& y) const override { return relu(y + y); }
  };
  CHECK_ERROR(prepare_qat(Both{}, x),
              "prepare_qat: an example of [3,4,5] is one image [H,W,C] or a batch [N,P,C], and the network takes both; "
              "give the image as [1,H,W,C], or the shape of the batch: Specs{{DType::float32, [3,4,5]}}");
  CHECK_ERROR(prepare_calibration(Both{}, x), "prepare_calibration: an example of [3,4,5] is one image [H,W,C] or");
  CHECK(prepare_qat(Both{}, Specs{x.spec()}).graph().inputs[0].shape == Shape{1, 4, 5});
  CHECK(prepare_calibration(Both{}, Specs{x.spec()}).network().graph.inputs[0].shape == Shape{1, 4, 5});
  CHECK(prepare_qat(Both{}, Tensor::zeros({1, 3, 4, 5})).graph().inputs[0].shape == Shape{1, 3, 4, 5});
  // What fits neither is told both ways.
  CHECK_ERROR(prepare_qat(test::small_net(), Tensor::zeros({8, 8, 4})), "conv2d: ");
  CHECK_ERROR(prepare_qat(test::small_net(), Tensor::zeros({8, 8, 4})),
              "and with the example as a batch, not as one image: conv2d: ");
}

TEST_CASE("refusals are a line each reason, with all nodes, and name the way out") {
  struct Block : nn::Module {
    nn::Linear a{{.in = 4, .out = 4}}, b{{.in = 4, .out = 4}};
    nn::BatchNorm2d bn{4};
    SINTER_CHILDREN(a, b, bn)
    Tensor forward(const Tensor& x) const override {
      Tensor y = x;
      for (int i = 0; i < 10; ++i) y = b(call(test::Square{}, a(y * Tensor::full({1, 3, 3, 4}, 2) / y)));
      return bn(mean(y, {1}, true));
    }
  };
  const auto message = [] {
    try {
      prepare_qat(Block{}, Tensor::zeros({1, 3, 3, 4}));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  }();
  CHECK(std::count(message.begin(), message.end(), '\n') == 2);
  CHECK(message.find("\n  div, div#2, div#3, div#4, div#5, div#6, div#7, div#8, div#9, div#10: div by a tensor that "
                     "is computed; write a * reciprocal(b), whose reciprocal has a scale of its own"
                     "; set it to float (quant::run_in_float)") != std::string::npos);
  CHECK_NOTHROW(prepare_qat(Block{}, Tensor::zeros({1, 3, 3, 4}),
                            {.by_type = {{"div", run_in_float()},
                                         {"linear", run_in_float()},
                                         {"mean", run_in_float()},
                                         {"square", run_in_float()}}}));
}

TEST_CASE("a batch normalisation without a layer to be folded into is one of its own") {
  struct Net : nn::Module {
    int kind;
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    nn::BatchNorm2d bn{3}, second{3};
    SINTER_CHILDREN(conv, bn, second)
    explicit Net(int k) : kind(k) {}
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = conv(x[0]);
      if (kind == 0) return {bn(y) + y};
      if (kind == 1) return {bn(y) * y};
      if (kind == 2) return {relu(bn(relu(y)))};
      if (kind == 3) return {bn(y + x[0])};
      if (kind == 4) return {second(bn(y))};
      if (kind == 5) return {bn(reshape(y, {-1, 16, 3}))};
      if (kind == 6) return {bn(mean(y, {1, 2}))};
      return {bn(x[0])};
    }
  };
  const Tensor x = images({3, 4, 4, 3}, 5);
  for (int kind = 0; kind < 8; ++kind)
    for (const char* batch_norm : {"fuse_bn", "with_bn"}) {
      CAPTURE(kind);
      CAPTURE(std::string(batch_norm));
      Net net = test::randomized(Net(kind));
      PreparedModel model = prepare_qat(net, Tensor::zeros({1, 4, 4, 3}), {.batch_norm = batch_norm});
      net.eval();
      model.eval();
      CHECK_CLOSE(model.graph()(x), net(x).detach(), 1e-5, 1e-5);
      const Node& node = model.graph().nodes[kind <= 1 ? 1 : model.graph().nodes.size() - 1];
      CHECK(node.op->name() == "conv2d");
      set_fake_quantize(model, FakeQuantState::calibration);
      model(x);
      set_fake_quantize(model, FakeQuantState::validation);
      const Tensor validated = run(model, x);
      CHECK_CLOSE(validated, net(x).detach(), 0, 0.1);
      CHECK_SAME(bpu::Simulator(bpu::compile(model))(x), validated);
    }
}

TEST_CASE("preparing copies the parameters and leaves the model as it is") {
  test::SmallNet model = test::small_net();
  model.eval();
  const auto before = state_of(model);
  PreparedModel q = prepare_qat(model, kExample);
  set_fake_quantize(q, FakeQuantState::calibration);
  q(images({2, 8, 8, 3}));
  for (auto& parameter : q.parameters())
    parameter.value.tensor().copy_from(Tensor::zeros(parameter.value.tensor().shape()));
  check_same_state(model, before);
  CHECK_FALSE(model.training());
}

TEST_CASE("a prepared model's parameters and buffers have the nodes' names") {
  Names parameters, buffers;
  for (const auto& parameter : prepared().named_state())
    (parameter.value.trained() ? parameters : buffers).push_back(parameter.name);
  CHECK(std::erase_if(buffers, [](const std::string& name) { return name.ends_with(".weight.frozen_scale"); }) == 7);
  CHECK(parameters.size() == 14);
  CHECK(parameters[0] == "stem.weight");
  CHECK(parameters[1] == "stem.bias");
  CHECK(parameters.back() == "head.bias");
  CHECK(buffers[0] == "input.activation.range");
  CHECK(buffers[1] == "input.activation.seen");
  CHECK(buffers[2] == "stem.activation.range");
  CHECK(buffers.back() == "mean.activation.seen");  // the head has none
}

TEST_CASE("a layer may be called input") {
  struct Net : nn::Module {
    nn::Conv2d input{{.in = 3, .out = 4, .kernel = 1}}, last{{.in = 4, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(input, last)
    Tensor forward(const Tensor& x) const override { return last(relu(input(x))); }
  };
  const PreparedModel model = prepare_qat(Net{}, kExample);
  CHECK(model.input_quantizer(0).name() == "input_");
  CHECK(model.quantizers()[1]->name() == "input");
}

TEST_CASE("fit trains a prepared model in QAT as it trains the float network") {
  struct Net : nn::Module {
    nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}},
        conv{{.in = 8, .out = 8, .kernel = 3, .padding = 1}};
    nn::Linear head{{.in = 8, .out = 5}};
    SINTER_CHILDREN(stem, conv, head)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(stem(x));
      return head(mean(relu(conv(y) + y), {1, 2}));
    }
  };
  const auto train_data = small_dataset(60);
  const nn::FitOptions options{
      .epochs = 8, .batch = 20, .optimizer = optim::SGD{{.lr = 0.05, .momentum = 0.9}}, .progress = false};
  Net net = test::randomized(Net{});
  // From nothing, activations grow fast: their ranges have to follow.
  PreparedModel model = prepare_qat(
      net, kExample, {.qconfig = get_default_qconfig({.activation_qkwargs = {{"averaging_constant", 1.0}}})});
  const auto before = state_of(model);
  const nn::History in_float = nn::fit(net, train_data, options), in_qat = nn::fit(model, train_data, options);
  for (size_t i = 0; i < in_float.epochs.size(); ++i)
    CHECK(in_qat.epochs[i].loss == doctest::Approx(in_float.epochs[i].loss).epsilon(0.03));
  CHECK(in_qat.epochs.back().loss < 0.8 * in_qat.epochs.front().loss);
  CHECK(model.input_quantizer(0).batches() == 24);
  const auto now = state_of(model);
  const auto names = model.named_state();
  for (size_t i = 0; i < now.size(); ++i)
    CHECK(test::difference(now[i], before[i]).empty() == names[i].name.ends_with(".frozen_scale"));
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK(nn::evaluate(model, train_data).loss == doctest::Approx(nn::evaluate(net, train_data).loss).epsilon(0.05));
}

TEST_CASE("a copy of a prepared model is its own") {
  PreparedModel first = calibrated();
  PreparedModel second = first;
  const Tensor x = images({2, 8, 8, 3}, 30, 4), before = ranges(first);
  const auto parameters = state_of(first);
  second(x);
  for (auto& parameter : second.parameters())
    parameter.value.tensor().copy_from(Tensor::zeros(parameter.value.tensor().shape()));
  set_fake_quantize(second, FakeQuantState::validation);
  CHECK(first.state() == FakeQuantState::calibration);
  CHECK_SAME(ranges(first), before);
  check_same_state(first, parameters);
  PreparedModel moved = std::move(second);
  CHECK(run(moved, x).shape() == Shape{2, 5});
  moved = first;
  set_fake_quantize(first, FakeQuantState::validation);
  set_fake_quantize(moved, FakeQuantState::validation);
  CHECK_SAME(run(moved, x), run(first, x));
}

TEST_CASE("a saved model loads to the same bits") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "model";
  PreparedModel model = calibrated();
  nn::save(model, path);
  PreparedModel other = prepare_qat(test::small_net(77), Tensor::zeros({4, 8, 8, 3}));
  nn::load(other, path);
  check_same_state(other, state_of(model));
  set_fake_quantize(model, FakeQuantState::validation);
  set_fake_quantize(other, FakeQuantState::validation);
  const Tensor x = images({3, 8, 8, 3}, 12);
  CHECK_SAME(run(other, x), run(model, x));
  // And goes on with the same running averages.
  for (PreparedModel* m : {&model, &other}) {
    set_fake_quantize(*m, FakeQuantState::calibration);
    (*m)(images({3, 8, 8, 3}, 13, 2));
  }
  CHECK_SAME(ranges(other), ranges(model));
}

TEST_CASE("a file of another march, qconfig or network is refused and changes nothing") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "model";
  nn::save(calibrated(), path);
  const auto refused = [&](PreparedModel model, const std::string& expected) {
    const auto before = state_of(model);
    CHECK_ERROR(nn::load(model, path), expected);
    check_same_state(model, before);
  };
  refused(prepared({.march = March::bernoulli}), "the march is bayes (");
  const std::string bayes = describe(March::bayes);
  refused(prepared({.rounding = "bpu_round"}),
          "the march is " + bayes + ", rounding half_to_even in the file and " + bayes + ", rounding bpu_round here");
  refused(prepared({.power_of_two = "all"}), "the march is " + bayes + ", rounding half_to_even in the file and " +
                                                 bayes +
                                                 ", rounding half_to_even, powers of two as scales of all here");
  refused(
      prepared({.qconfig = get_default_qconfig({.activation_observer = "percentile"})}),
      "the qconfig is activation fake_quant min_max{} int8 averaging 0.01, weight fake_quant min_max{} int8 averaging "
      "0.01; head in high precision in the file and activation fake_quant percentile{}");
  QConfig by_hand = get_default_qconfig();
  by_hand.activation->bits = 4;
  refused(prepared({.qconfig = by_hand}), "in the file and activation fake_quant min_max{} int4 averaging");
  by_hand = get_default_qconfig();
  by_hand.activation->averaging_constant = 0.5;
  refused(prepared({.qconfig = by_hand}), "in the file and activation fake_quant min_max{} int8 averaging 0.5");
  refused(prepared({.batch_norm = "with_bn"}), "; stem with_bn; body.0.conv1 with_bn");
  refused(prepare_qat(test::small_net(), Tensor::zeros({1, 6, 6, 3})), "the file is of another network");
  refused(prepare_qat(test::EveryLayer{}, kExample), "the file is of another network");
  nn::save(test::small_net(), path);
  refused(prepared(),
          path +
              ": prepared model: the file holds another kind of model; a float network's is loaded by nn::load "
              "before prepare_qat");
}

TEST_CASE("every observer calibrates, resumes from a file to the same bits, and validates") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "model";
  test::SmallNet float_model = test::small_net();
  float_model.eval();
  const Tensor x = images({8, 8, 8, 3}, 40);
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const PrepareOptions options{
        .qconfig = get_default_qconfig({.activation_observer = name, .activation_qkwargs = entry.second})};
    PreparedModel whole = calibrated(options);
    nn::save(whole, path);
    PreparedModel resumed = prepared(options);
    nn::load(resumed, path);
    PreparedModel copy = whole, loaded = prepared(options);
    load_observer_params(whole, loaded);
    const std::vector<PreparedModel*> all{&whole, &resumed, &copy, &loaded};
    for (PreparedModel* model : all) {
      set_fake_quantize(*model, FakeQuantState::calibration);
      for (uint64_t batch = 10; batch < 13; ++batch) (*model)(images({4, 8, 8, 3}, batch, 1.5));
      set_fake_quantize(*model, FakeQuantState::qat);
      (*model)(images({4, 8, 8, 3}, 13));
      set_fake_quantize(*model, FakeQuantState::validation);
      CHECK_SAME(ranges(*model), ranges(whole));
      CHECK_SAME(run(*model, x), run(whole, x));
    }
    CHECK_CLOSE(run(whole, x), run(float_model, x), 0.1, 0.1);
  }
}

TEST_CASE("every observer but kl observes weights") {
  test::SmallNet float_model = test::small_net();
  float_model.eval();
  const Tensor x = images({8, 8, 8, 3}, 40);
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    if (name == "kl") continue;
    CAPTURE(name);
    PreparedModel model =
        calibrated({.qconfig = get_default_qconfig({.weight_observer = name, .weight_qkwargs = entry.second})});
    CHECK(saturation_warnings(model).empty());
    set_fake_quantize(model, FakeQuantState::validation);
    const Tensor y = run(model, x);
    CHECK_CLOSE(y, run(float_model, x), 0.1, 0.1);
    CHECK_SAME(run(model, x), y);  // weights have no memory
  }
}

TEST_CASE("files know roundings and powers of two; those of the old contract are refused") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "model";
  const PrepareOptions options{.march = "nash", .rounding = "bpu_round", .power_of_two = "activations"};
  PreparedModel model = calibrated(options), same = prepared(options);
  nn::save(model, path);
  nn::load(same, path);
  const Tensor x = images({3, 8, 8, 3}, 4);
  for (PreparedModel* m : {&model, &same}) set_fake_quantize(*m, FakeQuantState::validation);
  CHECK_SAME(run(same, x), run(model, x));
  PreparedModel other = prepared({.march = "nash", .power_of_two = "activations"});
  CHECK_ERROR(nn::load(other, path),
              ", rounding bpu_round, powers of two as scales of activations in the file and nash");

  Archive archive = Archive::read(path, "checkpoint");
  const std::string section = [&] {
    for (const std::string& name : archive.names())
      if (name.ends_with("march")) return name;
    return std::string();
  }();
  archive.set(section, std::string("nash (scales float32; multipliers of 15 bits, shifts to 46; rounding half to even; "
                                   "int16 activations, kernels on them to 256)"));
  archive.write(path);
  CHECK_ERROR(
      nn::load(same, path),
      "the file is of a version whose integers were other ones than the chips' (one multiplier everywhere, powers "
      "of two on bernoulli2); load the float network's file, and calibrate again");
  CHECK_SAME(run(same, x), run(model, x));
}

TEST_CASE("a rounding and powers of two are chosen by name, whatever the march") {
  CHECK_ERROR(prepared({.rounding = "half_up"}),
              "rounding 'half_up' is unknown, expected one of: half_to_even, bpu_round");
  CHECK_ERROR(prepared({.power_of_two = "weights"}),
              "power_of_two 'weights' is unknown, expected one of: none, activations, all");
  for (const char* march : {"bernoulli", "bernoulli2", "bayes", "bayes_e", "nash"}) {
    const PreparedModel model = prepared({.march = march, .rounding = "bpu_round", .power_of_two = "activations"});
    CHECK(model.march() == Arithmetic(March::named(march), Rounding::half_up, PowerOfTwo::activations));
    CHECK(model.title().find(", rounding bpu_round, powers of two as scales of activations, ") != std::string::npos);
  }
  CHECK(prepared().march() == Arithmetic(March::bayes, Rounding::half_to_even, PowerOfTwo::none));
  // The scales of weights are powers of two where all are.
  for (const char* power_of_two : {"none", "activations", "all"}) {
    CAPTURE(std::string(power_of_two));
    PreparedModel model = calibrated({.power_of_two = power_of_two});
    const auto power = [](float scale) { return std::exp2(std::round(std::log2(scale))) == scale; };
    for (const ActivationQuantizer* quantizer : model.quantizers())
      CHECK(power(quantizer->scale(model.march())) == (power_of_two != std::string("none")));
    const bpu::Program program = bpu::compile(model);
    for (const Instruction& step : program.instructions)
      if (step.weight.defined())
        for (const float scale : step.weight_scales.values<float>())
          CHECK(power(scale) == (power_of_two == std::string("all")));
  }
}

TEST_CASE("a fixed scale needs no calibration; what it cannot hold is warned of") {
  const auto fixed = [](double scale) {
    return get_default_qconfig({.activation_observer = "fixed_scale", .activation_qkwargs = {{"scale", scale}}});
  };
  PreparedModel model = prepared({.qconfig = fixed(1.0 / 32)});
  set_fake_quantize(model, FakeQuantState::validation);
  const Tensor x = images({4, 8, 8, 3}, 3);
  const Tensor y = run(model, x);
  set_fake_quantize(model, FakeQuantState::calibration);
  CHECK_CLOSE(y, run(model, x), 0.2, 0.2);
  model(x);
  CHECK(saturation_warnings(model).empty());
  CHECK(model.input_quantizer(0).batches() == 2);
  model(images({4, 8, 8, 3}, 4, 400));
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_SAME(run(model, x), y);
  const auto warnings = saturation_warnings(model);
  REQUIRE_FALSE(warnings.empty());
  CHECK(warnings[0].find("input: its values reach ") == 0);
  CHECK(warnings[0].find(", but its fixed scale, 0.03125, saturates at 3.96875") != std::string::npos);
  // Nothing to load is an error even though its scales are known.
  PreparedModel to = prepared();
  CHECK_ERROR(load_observer_params(prepared({.qconfig = fixed(1)}), to), "the first model observed nothing");
  CHECK_ERROR(prepared({.qconfig = fixed(0.3), .march = March::bernoulli}),
              "input: the fixed scale 0.3 is not on the grid of bernoulli, but 0.5 is");
}

TEST_CASE("NaN is an error in calibration, and a counted zero in quantised states") {
  PreparedModel model = calibrated();
  Tensor x = images({2, 8, 8, 3}, 3), zeros = x.clone();
  for (const int64_t i : {0, 17, 383}) {
    x.mutable_data<float>()[i] = kNan;
    zeros.mutable_data<float>()[i] = 0;
  }
  CHECK_ERROR(model(x), "input: min_max: the tensor holds NaN");
  CHECK(model.nans() == 0);
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_SAME(run(model, x), run(model, zeros));
  CHECK(model.nans() == 3);
  set_fake_quantize(model, FakeQuantState::qat);
  PreparedModel other = model;
  CHECK_SAME(run(model, x), run(other, zeros));
  CHECK_SAME(ranges(model), ranges(other));
  CHECK(model.nans() == 6);
  CHECK(warnings(model).back() == "6 input values were NaN and were taken as 0");
}

TEST_CASE("NaN in weights is an error that names the layer") {
  PreparedModel model = calibrated();
  set_fake_quantize(model, FakeQuantState::validation);
  for (auto& parameter : model.parameters())
    if (parameter.name == "body.0.conv2.weight") parameter.value.tensor().mutable_data<float>()[100] = kNan;
  CHECK_ERROR(run(model, images({1, 8, 8, 3})),
              "body.0.conv2: weights of output channel 1: min_max: the tensor holds NaN");
}

TEST_CASE("infinite inputs saturate in validation") {
  PreparedModel model = prepared();
  set_ranges(model);
  set_fake_quantize(model, FakeQuantState::validation);
  Tensor x = images({1, 8, 8, 3}), large = x.clone();
  x.mutable_data<float>()[3] = INFINITY;
  large.mutable_data<float>()[3] = 1e30f;
  x.mutable_data<float>()[9] = -INFINITY;
  large.mutable_data<float>()[9] = -1e30f;
  CHECK_SAME(run(model, x), run(model, large));
}

TEST_CASE("scales that the grid clips are warned of, by name") {
  PreparedModel model = prepared({.march = March::bernoulli});
  set_ranges(model);
  CHECK(saturation_warnings(model).empty());
  const ActivationQuantizer& input = model.input_quantizer(0);
  input.observe(Samples(Tensor::full({1}, 1e6)));
  for (auto& parameter : model.parameters())
    if (parameter.name == "head.weight") parameter.value.tensor().mutable_data<float>()[2 * 16] = -200;
  const auto warnings = saturation_warnings(model);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].find("input: its range reaches 10000.99, but the largest scale of bernoulli, 0.5, saturates at "
                         "63.5") == 0);
  CHECK(warnings[1].find("head: weights of output channel 2: its range reaches 200") == 0);
  PreparedModel any = prepared();
  set_ranges(any, 1e6f);
  CHECK(saturation_warnings(any).empty());
}

TEST_CASE("all layers that cannot be quantised are listed, with the reason") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    nn::BatchNorm2d alone{3};
    nn::Linear wide{{.in = 3, .out = 3}};
    SINTER_CHILDREN(conv, alone, wide)
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(conv(x)), z = call(test::Square{}, alone(y));
      const Tensor both = wide(z) + mean(z, {0, 1, 2});
      return slice(concat({both * 2.0 / z, z}, 0), {.axis = 0, .begin = 1});
    }
  };
  const auto message = [] {
    try {
      prepare_qat(Net{}, Tensor::zeros({1, 3, 3, 3}));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  }();
  CHECK(message.find("prepare_qat: these layers cannot be quantised:") == 0);
  for (const char* line :
       {"\n  square: no integer form of square is known here; set it to float (quant::run_in_float) to keep it on the "
        "CPU",
        "\n  add: add of [1,3,3,3] and [3], expected as many axes",
        "\n  mean: gives [3] for one image and [3] for two, expected the batch as the first axis",
        "\n  concat: gives [2,3,3,3] for one image",
        "\n  slice: its axis is the batch's, which can have any size; do this outside of the network",
        "\n  div: div by a tensor that is computed"}) {
    CAPTURE(std::string(line));
    CAPTURE(message);
    CHECK(message.find(line) != std::string::npos);
  }
}

TEST_CASE("a qconfig without fake-quant for activations is refused") {
  CHECK_ERROR(prepared({.qconfig = get_default_qconfig({.activation_fake_quant = none})}),
              "prepare_qat: the qconfig has no fake-quant for activations");
}

TEST_CASE("inputs that do not fit are errors") {
  PreparedModel model = calibrated();
  for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
    set_fake_quantize(model, s);
    CHECK_ERROR(model(Tensor::zeros({2, 8, 7, 3})),
                "prepared model: input is float32 [2,8,7,3], expected float32 [1,8,8,3] with any first axis");
    CHECK_ERROR(model(Tensor::zeros({8, 8, 3})), "input is float32 [8,8,3]");
    CHECK_ERROR(model(Tensor::zeros({1, 8, 8, 3}, DType::int8)), "input is int8 [1,8,8,3]");
    CHECK_ERROR(model({kExample, kExample}), "prepared model: got 2 inputs, expected 1");
  }
  const auto nothing = [](const std::string&, const Tensor&) {};
  CHECK_ERROR(model.inspect(Tensor::zeros({2, 6, 6, 3}), nothing), "inspect: input is float32 [2,6,6,3]");
  CHECK_ERROR(model.inspect(std::span<const Tensor>(), nothing), "inspect: got 0 inputs, expected 1");
  CHECK_ERROR(model.inspect_alone({{"input", Tensor::zeros({2, 6, 6, 3})}}, nothing),
              "inspect_alone: input is float32 [2,6,6,3], expected float32 [1,8,8,3]");
  struct Two : nn::Module {
    SINTER_CHILDREN()
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {x[0] * x[1]}; }
  };
  PreparedModel two = prepare_qat(Two{}, std::vector<Tensor>{kExample, kExample});
  set_ranges(two);
  for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
    set_fake_quantize(two, s);
    CHECK_ERROR(two({Tensor::zeros({6, 8, 8, 3}), Tensor::zeros({2, 8, 8, 3})}),
                "prepared model: input1 is 2 images, input0 6, expected as many");
  }
}

TEST_CASE("what moves values between images, or gives other than float32, is refused by name") {
  struct Net : nn::Module {
    int kind;
    nn::Conv2d conv{{.in = 3, .out = 8, .kernel = 1}};
    nn::Linear head{{.in = 8, .out = 5}};
    SINTER_CHILDREN(conv, head)
    explicit Net(int k) : kind(k) {}
    Tensor forward(const Tensor& x) const override {
      const Tensor y = relu(conv(x));
      if (kind == 0) return head(reshape(y, {-1, 8}));
      if (kind == 1) return flatten(y, 0);
      if (kind == 3) return topk(head(mean(y, {1, 2})), {.k = 2}).values;
      return argmax(head(mean(y, {1, 2})));
    }
  };
  const Tensor example = Tensor::zeros({1, 4, 4, 3});
  CHECK_ERROR(prepare_qat(Net(0), example),
              "reshape: gives [16,8] for one image and [32,8] for two, expected the batch as the first axis");
  CHECK_ERROR(prepare_qat(Net(1), example), "flatten: gives [128] for one image and [256] for two");
  CHECK_ERROR(prepare_qat(Net(2), example, {.by_type = {{"argmax", run_in_float()}}}),
              "argmax: gives int64; end the network before it");
  CHECK_ERROR(prepare_qat(Net(3), example, {.by_type = {{"topk", run_in_float()}}}),
              "topk: gives 2 results; end the network before it");
}

TEST_CASE("an empty batch has no results in any state") {
  PreparedModel model = calibrated();
  const Tensor before = ranges(model);
  for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
    set_fake_quantize(model, s);
    CHECK(run(model, Tensor::zeros({0, 8, 8, 3})).shape() == Shape{0, 5});
  }
  CHECK_SAME(ranges(model), before);
}

TEST_CASE("outputs are of high precision where nothing but a convolution or linear layer makes them") {
  struct Net : nn::Module {
    nn::Conv2d first{{.in = 3, .out = 4, .kernel = 1}}, second{{.in = 4, .out = 4, .kernel = 1}};
    SINTER_CHILDREN(first, second)
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override {
      const Tensor y = first(x[0]), z = second(y), v = relu(second(x[1]));
      return {y, z, v, x[1]};
    }
  };
  PreparedModel model(test::randomized(Net{}), {{DType::float32, {1, 2, 2, 3}}, {DType::float32, {1, 2, 2, 4}}}, {});
  CHECK_FALSE(model.is_head(static_cast<size_t>(model.graph().find("first"))));  // it is read as well
  CHECK(model.is_head(static_cast<size_t>(model.graph().find("second"))));
  CHECK_FALSE(model.is_head(static_cast<size_t>(model.graph().find("second#2"))));
  CHECK(model.input_quantizer(0).name() == "input0");
  CHECK(model.input_quantizer(1).name() == "input1");
  set_ranges(model);
  set_fake_quantize(model, FakeQuantState::validation);
  const NoGrad no_grad;
  const Tensor x0 = images({2, 2, 2, 3}, 1, 0.5), x1 = images({2, 2, 2, 4}, 2, 0.5);
  const auto y = model({x0, x1});
  REQUIRE(y.size() == 4);
  // Integers times their scale, but for the head.
  for (const size_t i : {size_t{0}, size_t{2}, size_t{3}}) {
    const ActivationQuantizer* q =
        i == 3 ? &model.input_quantizer(1)
               : model.node_quantizer(static_cast<size_t>(model.graph().find(i == 0 ? "first" : "second#2")));
    const float scale = q->scale(model.march());
    for (const float v : y[i].values<float>()) CHECK(v == std::nearbyint(v / scale) * scale);
  }
  CHECK_CLOSE(y[3], x1, 0, 0.01);
}

TEST_CASE("an output whose activation has a qconfig of its own is quantised") {
  PreparedModel model = prepared({.by_path = {{"head.activation", get_default_qconfig()}}});
  const auto head = static_cast<size_t>(model.graph().find("head"));
  CHECK_FALSE(model.is_head(head));
  REQUIRE(model.node_quantizer(head) != nullptr);
  set_ranges(model);
  set_fake_quantize(model, FakeQuantState::validation);
  const float scale = model.node_quantizer(head)->scale(model.march());
  const Tensor y = run(model, images({2, 8, 8, 3}));
  for (const float v : y.values<float>()) CHECK(v == std::nearbyint(v / scale) * scale);
  CHECK(prepared({.by_path = {{"head", get_default_qconfig()}}}).is_head(head));
}

TEST_CASE("fields of a qconfig or a march that were set by hand are checked") {
  const auto with = [](const auto& change) {
    QConfig qconfig = get_default_qconfig();
    change(qconfig);
    return PrepareOptions{.qconfig = qconfig};
  };
  CHECK_ERROR(prepared(with([](QConfig& q) { q.activation->bits = 7; })),
              "prepare_qat: input: bits is 7, expected 16, 8, 4 or 2");
  CHECK_ERROR(prepared(with([](QConfig& q) { q.weight.bits = 16; })),
              "prepare_qat: stem.weight: bits is 16, expected 8, 4 or 2 for weights");
  CHECK_ERROR(prepared(with([](QConfig& q) { q.activation->averaging_constant = 2; })),
              "prepare_qat: input: averaging_constant is 2, expected 0 to 1");
  CHECK_ERROR(prepared(with([](QConfig& q) { q.weight.observer = "kl"; })),
              "prepare_qat: stem.weight: weight_observer kl gathers values over batches");
  const auto on = [](const auto& change) {
    March march = March::bayes;
    change(march);
    return PrepareOptions{.march = march};
  };
  CHECK_ERROR(prepared(on([](March& m) { m.resize_bits = 40; })), "march bayes: resize_bits is 40, expected 1 to 16");
  CHECK_ERROR(prepared(on([](March& m) { m.datapath = nullptr; })),
              "march bayes: it has no datapath, expected one of: floor, shift, single, two_stage");
  CHECK_ERROR(prepared(on([](March& m) { m.max_scale_exponent = 0; })),
              "march bayes: max_scale_exponent is 0, expected 1 to 23");
}

TEST_CASE("printing a prepared model tells what it is") {
  const std::string title = prepared().title();
  CHECK(title.find("PreparedModel(bayes (scales float32; two_stage (") == 0);
  CHECK(title.find("rounding half_to_even, activation fake_quant min_max{}, weight fake_quant min_max{}, graph ") !=
        std::string::npos);
  CHECK(to_string(FakeQuantState::qat) == "qat");
}

TEST_CASE("what is written through a pointer from before a forward pass counts in every state") {
  for (const FakeQuantState state : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
    CAPTURE(state);
    PreparedModel model = calibrated();
    set_fake_quantize(model, state);
    model.eval();
    Tensor weight = model.parameters()[0].value.tensor();
    float* w = weight.mutable_data<float>();
    const Tensor x = images({2, 8, 8, 3}, 9);
    const Tensor before = run(model, x);
    CHECK_SAME(run(model, x), before);
    for (int64_t i = 0; i < weight.elements(); ++i) w[i] = -w[i];
    PreparedModel other = calibrated();
    set_fake_quantize(other, state);
    other.eval();
    other.load_state(model.named_state());
    CHECK_SAME(run(model, x), run(other, x));
    CHECK(!test::difference(run(model, x), before, 0, 1e-3).empty());
  }
}

TEST_CASE("training and lowering expose no parameter to writes that nobody sees") {
  PreparedModel model = prepared();
  nn::fit(model, small_dataset(16), {.batch = 4, .progress = false});
  set_fake_quantize(model, FakeQuantState::validation);
  run(model, images({2, 8, 8, 3}, 9));
  for (const NamedParameter& p : model.named_state()) {
    CAPTURE(p.name);
    CHECK(!sinter::detail::Access::storage(p.value.tensor())->exposed());
  }
}

TEST_CASE("what is frozen in the float network is frozen in the prepared one, and its training leaves it alone") {
  for (const std::string batch_norm : {"fuse_bn", "with_bn"}) {
    CAPTURE(batch_norm);
    auto net = test::small_net();
    for (NamedParameter& p : net.parameters()) p.value.tensor().set_requires_grad(p.name.starts_with("head"));
    const auto check = [&](PreparedModel& model) {
      std::vector<Tensor> before;
      const auto parameters = model.parameters();
      for (const NamedParameter& p : parameters) before.push_back(p.value.tensor().clone());
      nn::fit(
          model, small_dataset(16),
          {.batch = 4, .optimizer = optim::SGD{{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1}}, .progress = false});
      for (size_t i = 0; i < parameters.size(); ++i) {
        CAPTURE(parameters[i].name);
        const bool head = parameters[i].name.starts_with("head");
        CHECK(parameters[i].value.tensor().requires_grad() == head);
        CHECK(test::difference(parameters[i].value.tensor().detach(), before[i], 0, 0).empty() == !head);
      }
    };
    PreparedModel model = prepare_qat(net, kExample, {.batch_norm = batch_norm});
    check(model);
    auto calibration = prepare_calibration(net, kExample, get_default_calib_qconfig());
    calibration(images({4, 8, 8, 3}, 1));
    PreparedModel from_calibration = prepare_qat(calibration, kExample, {.batch_norm = batch_norm});
    check(from_calibration);
  }
}

TEST_CASE("a constant of the network that is written after a validation counts in the next") {
  struct Masked : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 4, .kernel = 1}};
    Tensor mask = Tensor::ones({4});
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return relu(conv(x)) * mask; }
  };
  Masked net;
  QConfig in_float;
  in_float.run_in_float = true;
  PreparedModel model = prepare_qat(net, kExample, {.by_type = {{"mul", in_float}}});
  set_ranges(model);
  set_fake_quantize(model, FakeQuantState::validation);
  const Tensor x = images({2, 8, 8, 3}, 9);
  const Tensor before = run(model, x);
  net.mask.copy_from(Tensor::zeros({4}));
  CHECK(!test::difference(run(model, x), before, 0, 1e-3).empty());
  CHECK_SAME(run(model, x), Tensor::zeros(before.shape()));
}
