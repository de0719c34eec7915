#include "../../quant/prepare.h"

#include <unistd.h>

#include <cstdio>
#include <limits>

#include "../../core/ops/concat.h"
#include "../../core/ops/slice.h"
#include "../../nn/checkpoint.h"
#include "../../nn/fit.h"
#include "../../quant/analysis/warnings.h"
#include "../../quant/fuse.h"
#include "networks.h"

using namespace sinter;
using namespace sinter::quant;
using test::images;
using test::set_ranges;

namespace {

using Names = std::vector<std::string>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const Tensor kExample = Tensor::zeros({1, 8, 8, 3});

// The built-in observers, with what they need, for activations and weights of these tests.
const std::vector<std::pair<std::string, Keywords>> kObservers{{"clip", {{"min", -6}, {"max", 6}}},
                                                               {"clip_std", {{"std_scale", 6}}},
                                                               {"fixed_scale", {{"scale", 0.02}}},
                                                               {"kl", {}},
                                                               {"min_max", {}},
                                                               {"mix", {}},
                                                               {"mse", {}},
                                                               {"percentile", {}}};

PreparedModel prepared(const PrepareOptions& options = {}) { return prepare_qat(test::small_net(), kExample, options); }

PreparedModel calibrated(const PrepareOptions& options = {}) {
  PreparedModel model = prepared(options);
  set_fake_quantize(model, FakeQuantState::calibration);
  for (uint64_t batch = 0; batch < 3; ++batch) model(images({4, 8, 8, 3}, batch));
  return model;
}

Tensor ranges(const PreparedModel& model) {
  const auto quantizers = model.quantizers();
  Tensor all = Tensor::empty({static_cast<int64_t>(quantizers.size()), 4});
  float* out = all.mutable_data<float>();
  for (const ActivationQuantizer* q : quantizers)
    for (const float v :
         {q->range().min, q->range().max, static_cast<float>(q->batches()), static_cast<float>(q->values())})
      *out++ = v;
  return all;
}

std::vector<Tensor> state(const nn::Module& model) {
  std::vector<Tensor> all;
  for (const auto& parameter : model.named_state()) all.push_back(parameter.value.tensor().clone());
  return all;
}

void check_same_state(const nn::Module& model, const std::vector<Tensor>& expected) {
  const auto now = model.named_state();
  REQUIRE(now.size() == expected.size());
  for (size_t i = 0; i < now.size(); ++i) {
    CAPTURE(now[i].name);
    CHECK_SAME(now[i].value.tensor(), expected[i]);
  }
}

Tensor run(const nn::Module& model, const Tensor& x) {
  const NoGrad no_grad;
  return model(x);
}

data::ImageDataset dataset(int64_t count) {
  Random random(5);
  Tensor pixels = Tensor::empty({count, 8, 8, 3}, DType::uint8), labels = Tensor::empty({count}, DType::int64);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = i % 5;
    labels.mutable_data<int64_t>()[i] = label;
    for (int64_t k = 0; k < 192; ++k)
      pixels.mutable_data<uint8_t>()[i * 192 + k] = static_cast<uint8_t>((k % 3 == label % 3 ? 200
                                                                          : label < 3        ? 40
                                                                                             : 100) +
                                                                         random.below(50));
  }
  return {pixels, labels, {.mean = {0.5}, .std = {0.5}}};
}

// A file that is gone when the test is over.
struct TemporaryFile {
  std::string path = text("/tmp/sinter_prepare_test_", static_cast<int64_t>(getpid()));
  ~TemporaryFile() { std::remove(path.c_str()); }
};

}  // namespace

TEST_CASE("a prepared model starts in QAT, for the march that was asked for or the thread's default") {
  CHECK(prepared().state() == FakeQuantState::qat);
  CHECK(prepared().training());
  CHECK(prepared().march() == March::bayes);
  CHECK(prepared({.march = March::nash}).march() == March::nash);
  set_march(March::bernoulli2);
  CHECK(prepared().march() == March::bernoulli2);
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

TEST_CASE("preparing copies the parameters and leaves the model as it is") {
  test::SmallNet model = test::small_net();
  model.eval();
  const auto before = state(model);
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

TEST_CASE("calibration is the float network, whatever train() says, and observes") {
  PreparedModel model = prepared();
  test::SmallNet float_model = test::small_net();
  float_model.eval();
  set_fake_quantize(model, FakeQuantState::calibration);
  const Tensor x = images({4, 8, 8, 3}, 2);
  int64_t batches = 0;
  for (const bool training : {true, false, true}) {
    model.train(training);
    CHECK_CLOSE(model(x).detach(), float_model(x).detach(), 1e-5, 1e-5);
    ++batches;
    for (const ActivationQuantizer* q : model.quantizers()) {
      CHECK(q->batches() == batches);
      CHECK(q->observed());
    }
    CHECK(model.training() == training);
  }
  CHECK(model.input_quantizer(0).range().min == Samples(x).range().min);
  CHECK(model.input_quantizer(0).values() == 3 * 4 * 192);
  // After the activation that was fused into it.
  CHECK(model.node_quantizer(0)->range().min == 0);
}

TEST_CASE("set_fake_quantize works at once and never touches the train flag") {
  PreparedModel model = calibrated();
  for (const bool training : {true, false})
    for (const FakeQuantState s : {FakeQuantState::validation, FakeQuantState::qat, FakeQuantState::calibration}) {
      model.train(training);
      set_fake_quantize(model, s);
      CHECK(model.state() == s);
      CHECK(model.training() == training);
    }
}

TEST_CASE("evaluate observes nothing, in no state") {
  const auto test_data = dataset(10);
  PreparedModel model = calibrated();
  for (const bool training : {true, false})
    for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::qat, FakeQuantState::validation}) {
      set_fake_quantize(model, s);
      model.train(training);
      const Tensor before = ranges(model);
      nn::evaluate(model, test_data);
      CHECK_SAME(ranges(model), before);
    }
}

TEST_CASE("QAT observes while training only; validation never does") {
  PreparedModel model = calibrated();
  const Tensor x = images({2, 8, 8, 3}, 9, 3), before = ranges(model);
  set_fake_quantize(model, FakeQuantState::qat);
  model.eval();
  model(x);
  CHECK_SAME(ranges(model), before);
  set_fake_quantize(model, FakeQuantState::validation);
  for (const bool training : {true, false}) {
    model.train(training);
    model(x);
    CHECK_SAME(ranges(model), before);
  }
  set_fake_quantize(model, FakeQuantState::qat);
  model.train();
  model(x);
  for (const ActivationQuantizer* q : model.quantizers()) CHECK(q->batches() == 4);
}

TEST_CASE("QAT in evaluation computes what validation computes") {
  PreparedModel model = calibrated();
  const Tensor x = images({4, 8, 8, 3}, 10);
  model.eval();
  set_fake_quantize(model, FakeQuantState::qat);
  const Tensor qat = run(model, x);
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_SAME(run(model, x), qat);
  // And close to float, which a wrong scale would not be.
  set_fake_quantize(model, FakeQuantState::calibration);
  CHECK_CLOSE(qat, run(model, x), 0.05, 0.05);
}

TEST_CASE("quantised states before any observation are errors that name the tensors and the call") {
  PreparedModel model = prepared();
  const Tensor x = images({1, 8, 8, 3});
  const std::string expected =
      "prepared model: nothing was observed for input, stem, body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
      "body.1.shortcut.conv, mean; run data through the model in FakeQuantState::calibration, or call "
      "load_observer_params";
  set_fake_quantize(model, FakeQuantState::validation);
  CHECK_ERROR(model(x), expected);
  CHECK_ERROR(model.inspect(x, [](const std::string&, const Tensor&) {}), "inspect: nothing was observed for input");
  set_fake_quantize(model, FakeQuantState::qat);
  model.eval();
  CHECK_ERROR(model(x), expected);
  model.train();
  CHECK(model(x).shape() == Shape{1, 5});  // observes the batch first
}

TEST_CASE("only QAT can be trained") {
  const auto train_data = dataset(10);
  PreparedModel model = calibrated();
  const Tensor x = images({2, 8, 8, 3});
  for (const FakeQuantState s : {FakeQuantState::calibration, FakeQuantState::validation}) {
    set_fake_quantize(model, s);
    const std::string name = to_string(s);
    const Tensor y = model(x);
    CHECK(y.requires_grad());
    CHECK_ERROR(y.backward(Tensor::ones(y.shape())),
                "backward: the prepared model ran in FakeQuantState::" + name +
                    ", which has no gradients; call set_fake_quantize(model, FakeQuantState::qat) before training");
    CHECK_ERROR(nn::fit(model, train_data, {.progress = false}),
                "fit: the prepared model is in FakeQuantState::" + name + "; call set_fake_quantize");
    CHECK_FALSE(run(model, x).requires_grad());
  }
  set_fake_quantize(model, FakeQuantState::qat);
  CHECK_FALSE(run(model, x).requires_grad());
  CHECK(model(x).requires_grad());
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
  const auto train_data = dataset(60);
  const nn::FitOptions options{
      .epochs = 8, .batch = 20, .optimizer = optim::SGD{{.lr = 0.05, .momentum = 0.9}}, .progress = false};
  Net net = test::randomized(Net{});
  // From nothing, activations grow fast: their ranges have to follow.
  PreparedModel model = prepare_qat(
      net, kExample, {.qconfig = get_default_qconfig({.activation_qkwargs = {{"averaging_constant", 1.0}}})});
  const auto before = state(model);
  const nn::History in_float = nn::fit(net, train_data, options), in_qat = nn::fit(model, train_data, options);
  for (size_t i = 0; i < in_float.epochs.size(); ++i)
    CHECK(in_qat.epochs[i].loss == doctest::Approx(in_float.epochs[i].loss).epsilon(0.03));
  CHECK(in_qat.epochs.back().loss < 0.8 * in_qat.epochs.front().loss);
  CHECK(model.input_quantizer(0).batches() == 24);
  const auto now = state(model);
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
  const auto parameters = state(first);
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
  const TemporaryFile file;
  PreparedModel model = calibrated();
  nn::save(model, file.path);
  PreparedModel other = prepare_qat(test::small_net(77), Tensor::zeros({4, 8, 8, 3}));
  nn::load(other, file.path);
  check_same_state(other, state(model));
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
  const TemporaryFile file;
  nn::save(calibrated(), file.path);
  const auto refused = [&](PreparedModel model, const std::string& expected) {
    const auto before = state(model);
    CHECK_ERROR(nn::load(model, file.path), expected);
    check_same_state(model, before);
  };
  refused(prepared({.march = March::bernoulli2}), "the march is bayes (");
  March other = March::bayes;
  other.rounding = Rounding::half_up;
  refused(prepared({.march = other}), "int16 activations, kernels on them to 256) in the file and bayes (");
  refused(
      prepared({.qconfig = get_default_qconfig({.activation_observer = "percentile"})}),
      "the qconfig is activation fake_quant min_max{}, weight fake_quant min_max{}; head in high precision in the file "
      "and activation fake_quant percentile{}");
  refused(prepare_qat(test::small_net(), Tensor::zeros({1, 6, 6, 3})), "the file is of another network");
  refused(prepare_qat(test::EveryLayer{}, kExample), "the file is of another network");
  nn::save(test::small_net(), file.path);
  refused(prepared(), "march");
}

TEST_CASE("observers load by name") {
  const PreparedModel from = calibrated({.qconfig = get_default_qconfig({.activation_observer = "percentile"})});
  PreparedModel to = prepared();
  const LoadedObservers report = load_observer_params(from, to);
  CHECK_SAME(ranges(to), ranges(from));
  CHECK(report.loaded.size() == 8);
  CHECK(report.loaded[1] == "stem");
  CHECK(report.only_from.empty());
  CHECK(report.only_to.empty());
  CHECK_FALSE(report.other_march);
  CHECK(to_string(report) == "loaded 8 observers");
  set_fake_quantize(to, FakeQuantState::validation);
  CHECK(run(to, images({1, 8, 8, 3})).shape() == Shape{1, 5});
  // What was loaded goes its own way.
  set_fake_quantize(to, FakeQuantState::calibration);
  const Tensor before = ranges(from);
  to(images({1, 8, 8, 3}, 1, 9));
  CHECK_SAME(ranges(from), before);
}

TEST_CASE("every observer calibrates, resumes from a file to the same bits, and validates") {
  const TemporaryFile file;
  test::SmallNet float_model = test::small_net();
  float_model.eval();
  const Tensor x = images({8, 8, 8, 3}, 40);
  for (const auto& entry : kObservers) {
    const std::string& name = entry.first;
    CAPTURE(name);
    const PrepareOptions options{
        .qconfig = get_default_qconfig({.activation_observer = name, .activation_qkwargs = entry.second})};
    PreparedModel whole = calibrated(options);
    nn::save(whole, file.path);
    PreparedModel resumed = prepared(options);
    nn::load(resumed, file.path);
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

TEST_CASE("an observer's state loads where the settings are the same; else the range does") {
  const auto with = [](const Keywords& keywords) {
    return PrepareOptions{.qconfig =
                              get_default_qconfig({.activation_observer = "kl", .activation_qkwargs = keywords})};
  };
  const PreparedModel from = calibrated(with({}));
  PreparedModel same = prepared(with({{"averaging_constant", 0.5}})), other = prepared(with({{"bins", 1024}}));
  for (PreparedModel* to : {&same, &other}) {
    load_observer_params(from, *to);
    CHECK_SAME(ranges(*to), ranges(from));
  }
  // What kl remembers: the largest value of all batches.
  const Samples small(Tensor::full({3}, 0.01f));
  for (const PreparedModel* to : {&same, &other}) to->input_quantizer(0).observe(small);
  CHECK(same.input_quantizer(0).range().max > 0.5f);
  CHECK(other.input_quantizer(0).range().max == 0.01f);
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
  CHECK_ERROR(prepared({.qconfig = fixed(0.3), .march = March::bernoulli2}),
              "input: the fixed scale 0.3 is not on the grid of bernoulli2, but 0.5 is");
}

TEST_CASE("observers of another march are put on the target's grid") {
  const PreparedModel from = calibrated();
  PreparedModel to = prepared({.march = March::bernoulli2});
  const LoadedObservers report = load_observer_params(from, to);
  CHECK(report.other_march);
  CHECK(to_string(report) == "loaded 8 observers; the marches differ, scales are on the target's grid");
  const float scale = to.input_quantizer(0).scale(to.march());
  CHECK(scale == March::bernoulli2.on_grid(from.input_quantizer(0).scale(from.march())));
  CHECK(scale != from.input_quantizer(0).scale(from.march()));
}

TEST_CASE("swapped and unrelated models are errors of load_observer_params") {
  PreparedModel from = calibrated();
  PreparedModel to = prepared();
  CHECK_ERROR(load_observer_params(to, from), "the first model observed nothing; are the arguments swapped");
  struct Other : nn::Module {
    nn::Conv2d another{{.in = 3, .out = 4, .kernel = 1}}, input{{.in = 4, .out = 2, .kernel = 1}};
    SINTER_CHILDREN(another, input)
    Tensor forward(const Tensor& x) const override { return input(relu(another(x))); }
  };
  PreparedModel other = prepare_qat(Other{}, kExample);
  CHECK_ERROR(load_observer_params(from, other),
              "load_observer_params: no tensor of one model is in the other; the first has input, stem, body.0.conv1");
}

TEST_CASE("what is on one side only is reported") {
  struct Stem : nn::Module {
    nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
    nn::Conv2d extra{{.in = 8, .out = 8, .kernel = 1}};
    nn::Linear head{{.in = 8, .out = 5}};
    SINTER_CHILDREN(stem, extra, head)
    Tensor forward(const Tensor& x) const override { return head(mean(relu(extra(relu(stem(x)))), {1, 2})); }
  };
  const PreparedModel from = calibrated();
  PreparedModel to = prepare_qat(Stem{}, kExample);
  const LoadedObservers report = load_observer_params(from, to);
  CHECK(report.loaded == Names{"input", "stem", "mean"});
  CHECK(report.only_to == Names{"extra"});
  CHECK(report.only_from ==
        Names{"body.0.conv1", "body.0.conv2", "body.1.conv1", "body.1.conv2", "body.1.shortcut.conv"});
  CHECK(to_string(report) ==
        "loaded 3 observers; not found in the target: body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
        "body.1.shortcut.conv; not observed in the source: extra");
  set_fake_quantize(to, FakeQuantState::validation);
  CHECK_ERROR(to(images({1, 8, 8, 3})), "nothing was observed for extra;");
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
  PreparedModel model = prepared({.march = March::bernoulli2});
  set_ranges(model);
  CHECK(saturation_warnings(model).empty());
  const ActivationQuantizer& input = model.input_quantizer(0);
  input.observe(Samples(Tensor::full({1}, 1e6)));
  for (auto& parameter : model.parameters())
    if (parameter.name == "head.weight") parameter.value.tensor().mutable_data<float>()[2 * 16] = -200;
  const auto warnings = saturation_warnings(model);
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].find("input: its values reach 10000.99, but the largest scale of bernoulli2, 0.5, saturates at "
                         "63.5") == 0);
  CHECK(warnings[1].find("head: weights of output channel 2: its values reach 200") == 0);
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
       {"\n  alone: has no convolution or linear layer of its own before it", "\n  square: no integer form of square",
        "\n  wide: its input is [1,3,3,3], expected [N,K]", "\n  add: add of [1,3,3,3] and [3], expected as many axes",
        "\n  mean: only the mean over the image, axes {1,2} of [N,H,W,C], can be quantised",
        "\n  mul: one operand of mul is a number or a parameter", "\n  concat: its axis is the batch's",
        "\n  slice: its axis is the batch's", "\n  div: no integer form of div"}) {
    CAPTURE(std::string(line));
    CHECK(message.find(line) != std::string::npos);
  }
}

TEST_CASE("a prepared model is not prepared again, nor inside another") {
  CHECK_ERROR(prepare_qat(prepared(), kExample), "prepare_qat: the model is prepared already");
  struct Outer : nn::Module {
    PreparedModel inner;
    SINTER_CHILDREN(inner)
    explicit Outer(PreparedModel m) : inner(std::move(m)) {}
    Tensor forward(const Tensor& x) const override { return inner(x); }
  };
  CHECK_ERROR(prepare_qat(Outer(prepared()), kExample), "prepare_qat: inner is prepared already");
}

TEST_CASE("networks that differ between train and eval are refused") {
  struct Net : nn::Module {
    nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 1}};
    SINTER_CHILDREN(conv)
    Tensor forward(const Tensor& x) const override { return training_mode() ? relu(conv(x)) : conv(x); }
  };
  CHECK_ERROR(prepare_qat(Net{}, kExample), "the model differs between evaluation and training");
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

TEST_CASE("printing a prepared model tells what it is") {
  const std::string title = prepared().title();
  CHECK(title.find("PreparedModel(bayes, activation fake_quant min_max{}, weight fake_quant min_max{}, graph ") == 0);
  CHECK(to_string(FakeQuantState::qat) == "qat");
}
