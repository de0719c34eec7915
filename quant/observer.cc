#include "observer.h"

#include <map>

#include "../core/error.h"
#include "observers/clip.h"
#include "observers/clip_std.h"
#include "observers/fixed_scale.h"
#include "observers/kl.h"
#include "observers/min_max.h"
#include "observers/mix.h"
#include "observers/mse.h"
#include "observers/percentile.h"

namespace sinter::quant {

namespace {

struct Registry {
  std::map<std::string, ObserverFactory> factories;
  std::string duplicate;  // an error in a static initialiser could not be caught: it waits for the first look-up

  void add(ObserverFactory factory) {
    const std::string name = factory.name;
    if (!factories.emplace(name, std::move(factory)).second) duplicate = name;
  }
};

// The built-in observers are listed here: a linker drops objects of a static library that nobody names.
Registry& registry() {
  static auto& instance = *[] {
    auto* built_in = new Registry;
    built_in->add(make_observer_factory<Clip>("clip", {{"min", &Clip::min}, {"max", &Clip::max}}));
    built_in->add(make_observer_factory<ClipStd>("clip_std", {{"std_scale", &ClipStd::std_scale}}));
    built_in->add(make_observer_factory<FixedScale>("fixed_scale", {{"scale", &FixedScale::scale}}));
    built_in->add(make_observer_factory<Kl>("kl", {{"bins", &Kl::bins}, {"update_interval", &Kl::update_interval}}));
    built_in->add(make_observer_factory<MinMax>("min_max", {}));
    built_in->add(make_observer_factory<Mix>("mix", {}));
    built_in->add(make_observer_factory<Mse>("mse", {}));
    built_in->add(make_observer_factory<Percentile>(
        "percentile", {{"percentile", &Percentile::percentile}, {"bins", &Percentile::bins}}));
    return built_in;
  }();
  return instance;
}

}  // namespace

const ObserverFactory& observer_factory(const std::string& name) {
  const Registry& known = registry();
  check(known.duplicate.empty(), "observer '", known.duplicate, "' was registered twice");
  const auto found = known.factories.find(name);
  if (found != known.factories.end()) return found->second;
  fail("observer '", name, "' is unknown, expected one of: ", joined(observer_names()));
}

std::vector<std::string> observer_names() {
  std::vector<std::string> names;
  for (const auto& entry : registry().factories) names.push_back(entry.first);
  return names;
}

void add_observer(ObserverFactory factory) { registry().add(std::move(factory)); }

std::string to_string(const Keywords::Value& value) {
  return std::visit([](const auto& v) { return text(v); }, value);
}

std::string to_string(const Keywords& keywords) {
  std::string out = "{";
  for (const auto& [name, value] : keywords.values())
    out += text(out.size() > 1 ? ", " : "", name, "=", to_string(value));
  return out + "}";
}

namespace detail {

namespace {
template <class T>
void assign_exactly(const std::string& where, const Keywords::Value& value, T& setting, const char* type) {
  const T* given = std::get_if<T>(&value);
  check(given != nullptr, where, " is ", to_string(value), ", expected ", type);
  setting = *given;
}
}  // namespace

void assign(const std::string& where, const Keywords::Value& value, bool& setting) {
  assign_exactly(where, value, setting, "true or false");
}
void assign(const std::string& where, const Keywords::Value& value, int64_t& setting) {
  assign_exactly(where, value, setting, "an integer");
}
void assign(const std::string& where, const Keywords::Value& value, double& setting) {
  if (const auto* integer = std::get_if<int64_t>(&value))
    setting = static_cast<double>(*integer);
  else
    assign_exactly(where, value, setting, "a number");
}
void assign(const std::string& where, const Keywords::Value& value, std::string& setting) {
  assign_exactly(where, value, setting, "a text");
}

}  // namespace detail
}  // namespace sinter::quant
