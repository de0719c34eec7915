#include "../../core/warning.h"
#include "../../nn/checkpoint.h"
#include "../../quant/analysis/describe.h"
#include "../../quant/post_training/equalize.h"
#include "prepared.h"

using namespace sinter;
using namespace sinter::quant;
using test::calibrated;
using test::images;
using test::prepared;
using test::ranges;
using test::run;

namespace {

using Names = std::vector<std::string>;
const Tensor& kExample = test::kSmallExample;

}  // namespace

TEST_CASE("observers load by name") {
  const PreparedModel from = calibrated({.qconfig = get_default_qconfig({.activation_observer = "percentile"})});
  PreparedModel to = prepared();
  const LoadedObservers report = load_observer_params(from, to);
  CHECK_SAME(ranges(to), ranges(from));
  CHECK(report.loaded.size() == 8);
  CHECK(report.loaded[1] == "stem");
  CHECK(report.only_from.empty());
  CHECK(report.only_to.empty());
  CHECK(report.other_arithmetic == "");
  CHECK(to_string(report) == "loaded 8 observers");
  set_fake_quantize(to, FakeQuantState::validation);
  CHECK(run(to, images({1, 8, 8, 3})).shape() == Shape{1, 5});
  // What was loaded goes its own way.
  set_fake_quantize(to, FakeQuantState::calibration);
  const Tensor before = ranges(from);
  to(images({1, 8, 8, 3}, 1, 9));
  CHECK_SAME(ranges(from), before);
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

TEST_CASE("observers of another march are put on the target's grid") {
  const PreparedModel from = calibrated();
  PreparedModel to = prepared({.march = March::bernoulli});
  const LoadedObservers report = load_observer_params(from, to);
  CHECK(to_string(report) ==
        "loaded 8 observers; the source is for bayes, the target for bernoulli, scales are on the target's grid");
  const float scale = to.input_quantizer(0).scale(to.march());
  CHECK(scale == Arithmetic(March::bernoulli).on_grid(from.input_quantizer(0).scale(from.march())));
  CHECK(scale != from.input_quantizer(0).scale(from.march()));
  PreparedModel squares = prepared({.power_of_two = "activations"});
  CHECK(load_observer_params(from, squares).other_arithmetic ==
        "the source is for bayes, the target for " + brief(squares.march()));
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
  CHECK_ERROR(load_observer_params(from, other),
              "; prepare both from the same network: prepare_qat(net, example, ...)");
}

TEST_CASE("a tensor of other channels is an error that changes nothing; one of another type is reported") {
  struct Stem : nn::Module {
    nn::Conv2d stem;
    nn::Linear head;
    SINTER_CHILDREN(stem, head)
    explicit Stem(int64_t channels)
        : stem({.in = 3, .out = channels, .kernel = 3, .padding = 1}), head({.in = channels, .out = 5}) {}
    Tensor forward(const Tensor& x) const override { return head(mean(relu(stem(x)), {1, 2})); }
  };
  const Stem net(4);
  PreparedModel from = prepare_qat(net, kExample), wider = prepare_qat(Stem(9), kExample);
  set_fake_quantize(from, FakeQuantState::calibration);
  from(images({2, 8, 8, 3}));
  const Tensor before = ranges(wider);
  CHECK_ERROR(
      load_observer_params(from, wider),
      "load_observer_params: stem is [1,8,8,4] in the first model and [1,8,8,9] in the second, expected as many "
      "channels; are they the same network?");
  CHECK_SAME(ranges(wider), before);
  CHECK_FALSE(wider.input_quantizer(0).observed());

  PreparedModel larger = prepare_qat(net, Tensor::zeros({1, 12, 10, 3}));
  CHECK(to_string(load_observer_params(from, larger)) == "loaded 3 observers");
  PreparedModel narrow =
      prepare_qat(net, kExample,
                  {.by_path = {{"stem.activation", get_default_qconfig({.activation_qkwargs = {{"dtype", "int4"}}})}}});
  const LoadedObservers report = load_observer_params(from, narrow);
  CHECK(report.other_type == Names{"stem"});
  CHECK(to_string(report) == "loaded 3 observers; of another type in the source: stem");
}

TEST_CASE("what is on one side only is reported") {
  struct Stem : nn::Module {
    nn::Conv2d stem{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
    nn::Conv2d extra{{.in = 8, .out = 16, .kernel = 1}};
    nn::Linear head{{.in = 16, .out = 5}};
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
  CHECK(report.other_parameters == Names{"stem", "mean"});
  CHECK(
      to_string(report) ==
      "loaded 3 observers; MEASURED ON OTHER PARAMETERS than the target has, so that scales may be wrong: stem, mean; "
      "calibrate the target itself; not found in the target: body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
      "body.1.shortcut.conv; not observed in the source: extra");
  set_fake_quantize(to, FakeQuantState::validation);
  CHECK_ERROR(to(images({1, 8, 8, 3})), "nothing was observed for extra;");
}

TEST_CASE("what was learned is loaded where the fake-quant is the same; else it starts from the range") {
  const auto with = [](const std::string& fake_quant, const std::string& dtype = "int8") {
    return PrepareOptions{.qconfig = get_default_qconfig(
                              {.activation_fake_quant = fake_quant, .activation_qkwargs = {{"dtype", dtype}}})};
  };
  PreparedModel from = calibrated(with("lsq"));
  set_fake_quantize(from, FakeQuantState::qat);
  from(images({2, 8, 8, 3}));
  Tensor number = from.input_quantizer(0).learned.tensor();
  number.mutable_data<float>()[0] *= 0.5f;  // as if it had been trained
  PreparedModel same = prepared(with("lsq")), plain = prepared(), pact = prepared(with("pact")),
                narrow = prepared(with("lsq", "int4"));
  for (PreparedModel* to : {&same, &plain, &pact, &narrow}) load_observer_params(from, *to);
  const Range range = from.input_quantizer(0).range();
  const float reach = std::max(-range.min, range.max);
  CHECK(same.input_quantizer(0).scale(March::bayes) == number.at({0}));
  CHECK(plain.input_quantizer(0).scale(March::bayes) == reach / 127.5f);
  CHECK(pact.input_quantizer(0).scale(March::bayes) == reach / 127.0f);
  CHECK(narrow.input_quantizer(0).scale(March::bayes) == reach / 7.5f);
}

TEST_CASE("scales that were measured on other parameters are loaded, but said to be") {
  std::vector<std::string> warned;
  const WarningHandler before = set_warning_handler([&](const std::string& line) { warned.push_back(line); });
  const auto said = [](const PreparedModel& model) {
    const std::string all = describe(model);
    return all.find("loaded from a model of other parameters") != std::string::npos;
  };
  const PreparedModel plain = calibrated();
  // The smallest case: the same network equalized.
  PreparedModel equalized = prepared();
  equalize(equalized);
  const LoadedObservers report = load_observer_params(plain, equalized);
  CHECK(report.loaded.size() == 8);
  CHECK_FALSE(report.other_parameters.empty());
  CHECK(report.other_parameters[0] != "input");  // whose values are the same
  CHECK(to_string(report).find("loaded 8 observers; MEASURED ON OTHER PARAMETERS") == 0);
  REQUIRE(warned.size() == 1);
  CHECK(warned[0] == "load_observer_params: " + to_string(report));
  CHECK(said(equalized));
  // It goes along with what is loaded from there, with copies and files.
  PreparedModel copy = equalized, again = prepared(), from_file = prepared();
  equalize(again);
  CHECK(said(copy));
  CHECK_FALSE(load_observer_params(equalized, again).other_parameters.empty());
  const test::TemporaryDirectory directory;
  nn::save(equalized, directory / "model");
  nn::load(from_file, directory / "model");
  CHECK(said(from_file));
  PreparedModel back = prepared();
  CHECK(load_observer_params(equalized, back).other_parameters.empty());  // whose own they are
  CHECK_FALSE(said(back));
  // As many batches of its own are an answer, and fewer are none.
  set_fake_quantize(copy, FakeQuantState::calibration);
  for (uint64_t i = 0; i < 2; ++i) copy(images({4, 8, 8, 3}, i));
  CHECK(said(copy));
  CHECK_FALSE(load_observer_params(copy, again).other_parameters.empty());
  copy(images({4, 8, 8, 3}, 2));
  CHECK_FALSE(said(copy));
  CHECK(load_observer_params(copy, again).other_parameters.empty());

  // What is the same function is not another one: of other folding, march, or of images of another size.
  warned.clear();
  PreparedModel with_bn = prepared({.batch_norm = "with_bn"}), grid = prepared({.march = March::bernoulli}),
                larger = prepare_qat(test::small_net(), Tensor::zeros({1, 16, 12, 3})), same = prepared();
  for (PreparedModel* to : {&with_bn, &grid, &larger, &same}) {
    CHECK(load_observer_params(plain, *to).other_parameters.empty());
    CHECK_FALSE(said(*to));
  }
  // What was observed in QAT is of the weights that it has; others are said.
  set_fake_quantize(same, FakeQuantState::qat);
  same(images({4, 8, 8, 3}));
  for (auto& [name, parameter] : same.named_state())
    if (name == "stem.weight") parameter.tensor().copy_from(parameter.tensor() * 1.5);
  PreparedModel untrained = prepared(), trained = same;
  CHECK(load_observer_params(same, trained).other_parameters.empty());
  CHECK(warned.empty());
  CHECK_FALSE(load_observer_params(same, untrained).other_parameters.empty());
  CHECK(warned.size() == 1);
  set_warning_handler(before);
}

TEST_CASE("ranges of one batch alone are warned of when calibration ends") {
  std::vector<std::string> warned;
  const WarningHandler before = set_warning_handler([&](const std::string& line) { warned.push_back(line); });
  PreparedModel model = prepared();
  set_fake_quantize(model, FakeQuantState::calibration);
  model(images({4, 8, 8, 3}));
  set_fake_quantize(model, FakeQuantState::validation);
  REQUIRE(warned.size() == 1);
  CHECK(warned[0].find("set_fake_quantize: input, stem, ") == 0);
  CHECK(warned[0].find("the range is that of one batch alone; calibrate with 10 to 100") != std::string::npos);
  set_fake_quantize(model, FakeQuantState::calibration);
  model(images({4, 8, 8, 3}));
  set_fake_quantize(model, FakeQuantState::qat);
  CHECK(warned.size() == 1);
  set_warning_handler(before);
}
