#pragma once
// Kinds of a thing (observers, fake-quants) by name, made from keywords; a user's program adds its own.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../core/error.h"
#include "keywords.h"

namespace sinter::quant {

/// An object of some class derived from Base, with value semantics: copying clones it.
template <class Base>
class Polymorphic {
 public:
  Polymorphic() = default;
  template <class T>
  static Polymorphic of(T object) {
    Polymorphic value;
    value.object_ = std::make_unique<T>(std::move(object));
    value.clone_ = [](const Base& from) -> std::unique_ptr<Base> {
      return std::make_unique<T>(static_cast<const T&>(from));
    };
    return value;
  }
  Polymorphic(const Polymorphic& other)
      : object_(other.object_ == nullptr ? nullptr : other.clone_(*other.object_)), clone_(other.clone_) {}
  Polymorphic(Polymorphic&&) noexcept = default;
  Polymorphic& operator=(Polymorphic other) noexcept {
    object_ = std::move(other.object_);
    clone_ = other.clone_;
    return *this;
  }
  Base& operator*() const { return *object_; }
  Base* operator->() const { return object_.get(); }

 private:
  std::unique_ptr<Base> object_;
  std::unique_ptr<Base> (*clone_)(const Base&) = nullptr;
};

/// How one kind is made from keywords.
template <class Base>
struct Factory {
  std::string name;
  std::vector<std::string> keywords;
  std::function<Polymorphic<Base>(const Keywords&)> make;
};

/// The settings of a type: keyword and member.
template <class T>
using Settings =
    std::vector<std::pair<std::string, std::variant<bool T::*, int64_t T::*, double T::*, std::string T::*>>>;

namespace detail {

/// Writes a keyword's value into a setting; int64 converts to double, nothing else. Throws Error.
void assign(const std::string& where, const Keywords::Value& value, bool& setting);
void assign(const std::string& where, const Keywords::Value& value, int64_t& setting);
void assign(const std::string& where, const Keywords::Value& value, double& setting);
void assign(const std::string& where, const Keywords::Value& value, std::string& setting);

/// A factory for a type that is made without arguments; its `validate` throws Error for settings that make no sense.
template <class Base, class T>
Factory<Base> make_factory(const std::string& name, Settings<T> settings) {
  Factory<Base> factory{name, {}, nullptr};
  for (const auto& setting : settings) factory.keywords.push_back(setting.first);
  factory.make = [name, settings = std::move(settings)](const Keywords& keywords) {
    T object;
    for (const auto& setting : settings) {
      const auto found = keywords.values().find(setting.first);
      if (found == keywords.values().end()) continue;
      std::visit([&](auto member) { assign(name + ": " + setting.first, found->second, object.*member); },
                 setting.second);
    }
    object.validate();
    return Polymorphic<Base>::of(std::move(object));
  };
  return factory;
}

/// The kinds there are. What is registered twice is reported at the first look-up: an error in a static initialiser
/// could not be caught.
template <class Base>
class Registry {
 public:
  explicit Registry(std::string what) : what_(std::move(what)) {}

  void add(Factory<Base> factory) {
    const std::string name = factory.name;
    if (!factories_.emplace(name, std::move(factory)).second) duplicate_ = name;
  }
  const Factory<Base>& find(const std::string& name) const {
    check(duplicate_.empty(), what_, " '", duplicate_, "' was registered twice");
    const auto found = factories_.find(name);
    check(found != factories_.end(), what_, " '", name, "' is unknown, expected one of: ", joined(names()));
    return found->second;
  }
  /// Sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : factories_) all.push_back(entry.first);
    return all;
  }

 private:
  std::string what_, duplicate_;
  std::map<std::string, Factory<Base>> factories_;
};

}  // namespace detail

/// A user's observer or fake-quant, known by name from then on:
/// `static const quant::Registered<ClipStd> registered("clip_std", {{"std_scale", &ClipStd::std_scale}});`
template <class T>
struct Registered {
  explicit Registered(const std::string& name, Settings<T> settings = {}) {
    add_kind(static_cast<T*>(nullptr), name, std::move(settings));  // found by the base class's namespace
  }
};

}  // namespace sinter::quant
