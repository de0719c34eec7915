#include "qconfig.h"

#include <algorithm>

#include "../core/error.h"

namespace sinter::quant {

namespace {

constexpr const char* kAveraging = "averaging_constant";

TensorConfig tensor_config(const std::string& which, const std::string& fake_quant, const std::string& observer,
                           const Keywords& keywords) {
  const std::vector<std::string> known_methods = fake_quant_names();
  if (std::find(known_methods.begin(), known_methods.end(), fake_quant) == known_methods.end())
    fail("get_default_qconfig: ", which, " '", fake_quant, "' is unknown, expected one of: ", joined(known_methods));
  const ObserverFactory& factory = observer_factory(observer);
  TensorConfig config{fake_quant, observer, keywords, 0};
  for (const auto& [name, value] : keywords.values()) {
    const bool known = name == kAveraging ||
                       std::find(factory.keywords.begin(), factory.keywords.end(), name) != factory.keywords.end();
    if (known) continue;
    std::vector<std::string> names{kAveraging};
    names.insert(names.end(), factory.keywords.begin(), factory.keywords.end());
    fail("get_default_qconfig: keyword '", name, "' is unknown to observer ", observer,
         ", expected one of: ", joined(names));
  }
  config.averaging_constant = config.make_observer()->default_averaging_constant();
  if (const auto found = keywords.values().find(kAveraging); found != keywords.values().end())
    detail::assign(kAveraging, found->second, config.averaging_constant);
  check(config.averaging_constant >= 0 && config.averaging_constant <= 1, kAveraging, " is ", config.averaging_constant,
        ", expected 0 to 1");
  return config;
}

}  // namespace

std::vector<std::string> fake_quant_names() { return {"fake_quant"}; }

ObserverValue TensorConfig::make_observer() const { return observer_factory(observer).make(keywords); }

bool same_observer(const TensorConfig& a, const TensorConfig& b) {
  const auto settings = [](const TensorConfig& config) {
    auto values = config.keywords.values();
    values.erase(kAveraging);
    return values;
  };
  return a.observer == b.observer && settings(a) == settings(b);
}

std::string to_string(const QConfig& qconfig) {
  const auto describe = [](const TensorConfig& c) {
    return text(c.fake_quant, " ", c.observer, to_string(c.keywords));
  };
  return text("activation ", qconfig.activation ? describe(*qconfig.activation) : "none", ", weight ",
              describe(qconfig.weight));
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
  check(qconfig.weight.make_observer()->for_weights(), "get_default_qconfig: weight_observer ", options.weight_observer,
        " gathers values over batches, but the scale of weights follows from their current values alone");
  return qconfig;
}

}  // namespace sinter::quant
