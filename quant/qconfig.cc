#include "qconfig.h"

#include <algorithm>

#include "../core/error.h"

namespace sinter::quant {

namespace {

constexpr const char *kAveraging = "averaging_constant", *kWarmUp = "warm_up", *kType = "dtype";

int bits_of(const std::string& which, const Keywords::Value& value) {
  std::string name;
  detail::assign(kType, value, name);
  for (const int bits : {16, 8, 4, 2})
    if (name == text("int", bits)) {
      check(bits < 16 || which == "activation_fake_quant",
            "get_default_qconfig: dtype int16 is for activations; weights are int8, int4 or int2");
      return bits;
    }
  fail("get_default_qconfig: dtype is '", name, "', expected int16, int8, int4 or int2");
}

TensorConfig tensor_config(const std::string& which, const std::string& fake_quant, const std::string& observer,
                           const Keywords& keywords) {
  const std::vector<std::string> methods = fake_quant_names();
  if (std::find(methods.begin(), methods.end(), fake_quant) == methods.end())
    fail("get_default_qconfig: ", which, " '", fake_quant, "' is unknown, expected one of: ", joined(methods));
  std::vector<std::string> known{kAveraging, kType};
  for (const auto* names : {&fake_quant_factory(fake_quant).keywords, &observer_factory(observer).keywords})
    known.insert(known.end(), names->begin(), names->end());
  known.emplace_back(kWarmUp);
  for (const auto& entry : keywords.values())
    check(std::find(known.begin(), known.end(), entry.first) != known.end(), "get_default_qconfig: keyword '",
          entry.first, "' is unknown to ", fake_quant, " and observer ", observer,
          ", expected one of: ", joined(known));
  TensorConfig config{.fake_quant = fake_quant, .observer = observer, .keywords = keywords};
  const double own = config.make_observer()->default_averaging_constant();
  config.averaging_constant = config.make_fake_quant()->averaging_constant().value_or(own);
  if (const auto found = keywords.values().find(kAveraging); found != keywords.values().end())
    detail::assign(kAveraging, found->second, config.averaging_constant);
  if (const auto found = keywords.values().find(kWarmUp); found != keywords.values().end())
    detail::assign(kWarmUp, found->second, config.warm_up);
  if (const auto found = keywords.values().find(kType); found != keywords.values().end())
    config.bits = bits_of(which, found->second);
  const std::string reason = invalid_reason(config, which == "weight_fake_quant");
  check(reason.empty(), "get_default_qconfig: ", reason);
  return config;
}

}  // namespace

ObserverValue TensorConfig::make_observer(const Arithmetic& march, bool negative, bool of_weights) const {
  ObserverValue made = observer_factory(observer).make(keywords);
  made->type = type_bounds(bits, negative);
  made->march = march;
  made->of_weights = of_weights;
  made->warm_up = warm_up;
  return made;
}

std::shared_ptr<const FakeQuantize> TensorConfig::make_fake_quant() const {
  const auto held = std::make_shared<const FakeQuantValue>(fake_quant_factory(fake_quant).make(keywords));
  return {held, &**held};
}

std::string invalid_reason(const TensorConfig& config, bool of_weights) {
  const int bits = config.bits;
  if (bits != 2 && bits != 4 && bits != 8 && (of_weights || bits != 16))
    return text("bits is ", bits, ", expected ", of_weights ? "8, 4 or 2 for weights" : "16, 8, 4 or 2");
  if (!(config.averaging_constant >= 0 && config.averaging_constant <= 1))
    return text(kAveraging, " is ", config.averaging_constant, ", expected 0 to 1");
  const Bounds type = type_bounds(bits), used = config.make_fake_quant()->bounds(type);
  if (used.low < type.low || used.high > type.high || used.low >= used.high)
    return text("fake-quant ", config.fake_quant, " uses the integers ", used.low, "..", used.high, " of ", type.low,
                "..", type.high);
  if (of_weights && !config.make_observer()->for_weights())
    return text("weight_observer ", config.observer,
                " gathers values over batches, but the scale of weights follows from ", "their current values alone");
  return "";
}

bool same_observer(const TensorConfig& a, const TensorConfig& b) {
  const auto settings = [](const TensorConfig& config) {
    std::map<std::string, Keywords::Value> own;
    for (const std::string& name : observer_factory(config.observer).keywords)
      if (const auto found = config.keywords.values().find(name); found != config.keywords.values().end())
        own.insert(*found);
    return own;
  };
  return a.observer == b.observer && a.bits == b.bits && settings(a) == settings(b);
}

std::string to_string(const TensorConfig& config) {
  return text(config.fake_quant, " ", config.observer, to_string(config.keywords));
}

std::string to_string(const QConfig& qconfig) {
  return text("activation ", qconfig.activation ? to_string(*qconfig.activation) : "none", ", weight ", qconfig.weight,
              qconfig.run_in_float ? ", in float" : "");
}

QConfig run_in_float(QConfig qconfig) {
  qconfig.run_in_float = true;
  return qconfig;
}

QConfig get_default_qconfig(const QConfigOptions& options) {
  QConfig qconfig;
  check(options.weight_fake_quant.name().has_value(),
        "get_default_qconfig: weight_fake_quant is none; only activations can stay unquantised");
  if (const auto& name = options.activation_fake_quant.name())
    qconfig.activation =
        tensor_config("activation_fake_quant", *name, options.activation_observer, options.activation_qkwargs);
  qconfig.weight = tensor_config("weight_fake_quant", *options.weight_fake_quant.name(), options.weight_observer,
                                 options.weight_qkwargs);
  return qconfig;
}

}  // namespace sinter::quant
