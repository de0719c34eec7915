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
  PreparedModel from = prepare_qat(Stem(4), kExample), wider = prepare_qat(Stem(9), kExample);
  set_fake_quantize(from, FakeQuantState::calibration);
  from(images({2, 8, 8, 3}));
  const Tensor before = ranges(wider);
  CHECK_ERROR(
      load_observer_params(from, wider),
      "load_observer_params: stem is [1,8,8,4] in the first model and [1,8,8,9] in the second, expected as many "
      "channels; are they the same network?");
  CHECK_SAME(ranges(wider), before);
  CHECK_FALSE(wider.input_quantizer(0).observed());

  PreparedModel larger = prepare_qat(Stem(4), Tensor::zeros({1, 12, 10, 3}));
  CHECK(to_string(load_observer_params(from, larger)) == "loaded 3 observers");
  PreparedModel narrow =
      prepare_qat(Stem(4), kExample,
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
  CHECK(to_string(report) ==
        "loaded 3 observers; not found in the target: body.0.conv1, body.0.conv2, body.1.conv1, body.1.conv2, "
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
