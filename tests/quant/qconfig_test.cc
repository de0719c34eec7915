#include "../../quant/qconfig.h"

#include <algorithm>
#include <cmath>

#include "../support.h"

using namespace sinter;
using namespace sinter::quant;

namespace {

// A user's observer with a setting of every type.
struct Everything final : Observer {
  bool flag = false;
  int64_t count = 1;
  double number = 2;
  std::string word = "none";
  Range observe(const Samples& batch) override {
    const Range range = batch.range();
    return {static_cast<float>(range.min * number), static_cast<float>(range.max * static_cast<double>(count))};
  }
  double default_averaging_constant() const override { return 0.25; }
  void validate() const override { check(count > 0, "everything: count is ", count, ", expected at least 1"); }
};
const Registered<Everything> registered("everything", {{"flag", &Everything::flag},
                                                       {"count", &Everything::count},
                                                       {"number", &Everything::number},
                                                       {"word", &Everything::word}});

QConfig activation(const std::string& observer, const Keywords& keywords) {
  return get_default_qconfig({.activation_observer = observer, .activation_qkwargs = keywords});
}

}  // namespace

TEST_CASE("the default qconfig is fake_quant with min_max for both") {
  const QConfig qconfig = get_default_qconfig();
  REQUIRE(qconfig.activation.has_value());
  for (const TensorConfig& config : {*qconfig.activation, qconfig.weight}) {
    CHECK(config.fake_quant == "fake_quant");
    CHECK(config.observer == "min_max");
    CHECK(config.keywords == Keywords(none));
    CHECK(config.averaging_constant == 0.01);
  }
  CHECK(to_string(qconfig) == "activation fake_quant min_max{}, weight fake_quant min_max{}");
}

TEST_CASE("the full signature") {
  const QConfig qconfig =
      get_default_qconfig({.activation_fake_quant = "fake_quant",
                           .weight_fake_quant = "fake_quant",
                           .activation_observer = "percentile",
                           .weight_observer = "percentile",
                           .activation_qkwargs = {{"percentile", 99.5}, {"averaging_constant", 0.5}},
                           .weight_qkwargs = {{"bins", 512}}});
  CHECK(qconfig.activation->averaging_constant == 0.5);
  CHECK(to_string(qconfig) ==
        "activation fake_quant percentile{averaging_constant=0.5, percentile=99.5}, weight fake_quant "
        "percentile{bins=512}");
  CHECK(get_default_qconfig({.activation_qkwargs = none, .weight_qkwargs = none}).weight == TensorConfig{});
}

TEST_CASE("activation_fake_quant = none leaves activations in high precision; weights need one") {
  CHECK_FALSE(get_default_qconfig({.activation_fake_quant = none}).activation.has_value());
  CHECK(to_string(get_default_qconfig({.activation_fake_quant = none})) ==
        "activation none, weight fake_quant min_max{}");
  CHECK_ERROR(get_default_qconfig({.weight_fake_quant = none}), "weight_fake_quant is none");
}

TEST_CASE("every observer and fake-quant there is can be asked for") {
  const std::vector<std::string> observers = observer_names();
  CHECK(std::count(observers.begin(), observers.end(), "everything") == 1);
  for (const std::string& name : observers) CHECK(observer_factory(name).name == name);
  for (const std::string& name : fake_quant_names())
    CHECK(get_default_qconfig({.weight_fake_quant = name}).weight.fake_quant == name);
}

TEST_CASE("unknown names are errors that list the known ones") {
  CHECK_ERROR(get_default_qconfig({.activation_fake_quant = "fakequant"}),
              "get_default_qconfig: activation_fake_quant 'fakequant' is unknown, expected one of: fake_quant");
  CHECK_ERROR(get_default_qconfig({.weight_fake_quant = "x"}), "weight_fake_quant 'x' is unknown");
  CHECK_ERROR(get_default_qconfig({.activation_observer = "minmax"}),
              "observer 'minmax' is unknown, expected one of: clip, clip_std, everything, fixed_scale, kl, loudest, "
              "min_max, mix, mse, "
              "percentile");
  CHECK_ERROR(get_default_qconfig({.weight_observer = ""}), "observer '' is unknown");
  CHECK_ERROR(
      activation("percentile", {{"percentil", 99.0}}),
      "get_default_qconfig: keyword 'percentil' is unknown to fake_quant and observer percentile, expected one of: "
      "averaging_constant, dtype, percentile, bins, warm_up");
  CHECK_ERROR(
      activation("min_max", {{"bins", 3}}),
      "keyword 'bins' is unknown to fake_quant and observer min_max, expected one of: averaging_constant, dtype, "
      "warm_up");
  CHECK_ERROR(get_default_qconfig({.weight_qkwargs = {{"percentile", 3.0}}}), "'percentile' is unknown");
}

TEST_CASE("keywords are typed: integers become real numbers, nothing else converts") {
  const auto config = [](const Keywords& keywords) { return activation("everything", keywords).activation; };
  CHECK(config({{"number", 3}, {"count", 2}, {"flag", true}, {"word", "some"}})->averaging_constant == 0.25);
  CHECK(config({{"averaging_constant", 1}})->averaging_constant == 1);
  CHECK_ERROR(config({{"count", 2.0}}), "everything: count is 2, expected an integer");
  CHECK_ERROR(config({{"count", true}}), "everything: count is true, expected an integer");
  CHECK_ERROR(config({{"number", "3"}}), "everything: number is 3, expected a number");
  CHECK_ERROR(config({{"number", false}}), "expected a number");
  CHECK_ERROR(config({{"flag", 1}}), "everything: flag is 1, expected true or false");
  CHECK_ERROR(config({{"word", 1}}), "everything: word is 1, expected a text");
  CHECK_ERROR(config({{"averaging_constant", "fast"}}), "averaging_constant is fast, expected a number");
}

TEST_CASE("keywords out of range are errors") {
  CHECK_ERROR(activation("everything", {{"count", 0}}), "everything: count is 0, expected at least 1");
  CHECK_ERROR(activation("min_max", {{"averaging_constant", 1.5}}), "averaging_constant is 1.5, expected 0 to 1");
  CHECK_ERROR(activation("min_max", {{"averaging_constant", -0.1}}), "expected 0 to 1");
  CHECK_ERROR(activation("min_max", {{"averaging_constant", NAN}}), "expected 0 to 1");
  CHECK_ERROR(activation("percentile", {{"percentile", 0.0}}), "percentile is 0, expected in (0, 100]");
  CHECK_ERROR(activation("percentile", {{"percentile", 100.5}}), "expected in (0, 100]");
  CHECK_ERROR(activation("percentile", {{"bins", 0}}), "bins is 0, expected 1 to 2^24");
}

TEST_CASE("settings reach the observer") {
  const TensorConfig config = *activation("everything", {{"number", 3}, {"count", 2}}).activation;
  const Range range = config.make_observer()->observe(Samples(Tensor::from({2}, {-1, 5})));
  CHECK(range.min == -3);
  CHECK(range.max == 10);
}

TEST_CASE("an observer's copy is its own") {
  const ObserverValue first = activation("everything", {{"count", 2}}).activation->make_observer();
  ObserverValue second = first;
  dynamic_cast<Everything&>(*second).count = 7;
  CHECK(dynamic_cast<Everything&>(*first).count == 2);
  second = first;
  CHECK(dynamic_cast<Everything&>(*second).count == 2);
  const ObserverValue empty;
  second = empty;
  CHECK(second.operator->() == nullptr);
}

TEST_CASE("keywords print in order of their names") {
  CHECK(to_string(Keywords{{"b", 2}, {"a", 0.5}, {"c", "x"}, {"d", true}}) == "{a=0.5, b=2, c=x, d=true}");
  CHECK(to_string(Keywords(none)) == "{}");
}
