#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "contract.h"
#include "keywords.h"
#include "samples.h"

namespace sinter::quant {

/// Sees the values of an observer's state by name: it saves them, or it loads them.
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  virtual void visit(const std::string& name, int64_t& value) = 0;
  virtual void visit(const std::string& name, double& value) = 0;
  virtual void visit(const std::string& name, std::vector<int64_t>& values) = 0;
  virtual void visit(const std::string& name, std::vector<double>& values) = 0;
};

/// Finds the range of real values that a tensor's integers shall cover. What it returns for each batch is averaged by
/// the framework: m += c (batch - m), the first batch as it is; `averaging_constant` is a keyword of every observer.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual Range observe(const Samples& batch) = 0;
  /// The scale, where it is not to follow from the range.
  virtual std::optional<float> fixed_scale() const { return std::nullopt; }
  /// True where the range is always the batch's whole range: then no weight is clipped, and the straight-through
  /// gradient passes everywhere.
  virtual bool full_range() const { return false; }
  /// c where the user gives none.
  virtual double default_averaging_constant() const { return 0.01; }
  /// False where one batch is not enough: the scale of weights follows from their current values alone.
  virtual bool for_weights() const { return true; }
  /// Throws Error for settings or a state that make no sense; called once they are set or loaded.
  virtual void validate() const {}
  /// Visits all that one batch leaves to the next: it is saved, loaded and copied with the model.
  virtual void state(StateVisitor&) {}

  /// The integers that the range is for; set by the framework.
  Bounds type{};
};

/// running + c (batch - running); for c = 1 exactly the batch's.
inline Range averaged(const Range& running, const Range& batch, double averaging_constant) {
  if (averaging_constant == 1) return batch;
  const auto c = static_cast<float>(averaging_constant);
  return {running.min + c * (batch.min - running.min), running.max + c * (batch.max - running.max)};
}

/// An observer with value semantics: copying clones it.
class ObserverValue {
 public:
  ObserverValue() = default;
  template <class T>
  static ObserverValue of(T observer) {
    ObserverValue value;
    value.object_ = std::make_unique<T>(std::move(observer));
    value.clone_ = [](const Observer& from) -> std::unique_ptr<Observer> {
      return std::make_unique<T>(static_cast<const T&>(from));
    };
    return value;
  }
  ObserverValue(const ObserverValue& other)
      : object_(other.object_ == nullptr ? nullptr : other.clone_(*other.object_)), clone_(other.clone_) {}
  ObserverValue(ObserverValue&&) noexcept = default;
  ObserverValue& operator=(ObserverValue other) noexcept {
    object_ = std::move(other.object_);
    clone_ = other.clone_;
    return *this;
  }
  Observer& operator*() const { return *object_; }
  Observer* operator->() const { return object_.get(); }

 private:
  std::unique_ptr<Observer> object_;
  std::unique_ptr<Observer> (*clone_)(const Observer&) = nullptr;
};

/// How a kind of observer is made from keywords.
struct ObserverFactory {
  std::string name;
  std::vector<std::string> keywords;
  std::function<ObserverValue(const Keywords&)> make;
};

/// The factory by name. Throws Error, listing the known observers, when there is none.
const ObserverFactory& observer_factory(const std::string& name);
/// Names of all observers there are, sorted.
std::vector<std::string> observer_names();
/// Adds a factory; one of a name that exists is reported at the first look-up.
void add_observer(ObserverFactory factory);

namespace detail {
/// Writes a keyword's value into a setting; int64 converts to double, nothing else. Throws Error.
void assign(const std::string& where, const Keywords::Value& value, bool& setting);
void assign(const std::string& where, const Keywords::Value& value, int64_t& setting);
void assign(const std::string& where, const Keywords::Value& value, double& setting);
void assign(const std::string& where, const Keywords::Value& value, std::string& setting);
}  // namespace detail

/// The settings of an observer type: keyword and member.
template <class T>
using Settings =
    std::vector<std::pair<std::string, std::variant<bool T::*, int64_t T::*, double T::*, std::string T::*>>>;

/// A factory for an observer type that is made without arguments.
template <class T>
ObserverFactory make_observer_factory(const std::string& name, Settings<T> settings) {
  ObserverFactory factory{name, {}, nullptr};
  for (const auto& [keyword, member] : settings) factory.keywords.push_back(keyword);
  factory.make = [name, settings = std::move(settings)](const Keywords& keywords) {
    T observer;
    for (const auto& setting : settings) {
      const auto found = keywords.values().find(setting.first);
      if (found == keywords.values().end()) continue;
      std::visit([&](auto member) { detail::assign(name + ": " + setting.first, found->second, observer.*member); },
                 setting.second);
    }
    observer.validate();
    return ObserverValue::of(std::move(observer));
  };
  return factory;
}

/// A user's observer, known by name from then on:
/// `static const quant::Registered<ClipStd> registered("clip_std", {{"std_scale", &ClipStd::std_scale}});`
template <class T>
struct Registered {
  explicit Registered(const std::string& name, Settings<T> settings = {}) {
    add_observer(make_observer_factory<T>(name, std::move(settings)));
  }
};

}  // namespace sinter::quant
