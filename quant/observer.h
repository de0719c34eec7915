#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <vector>

#include "contract.h"
#include "registry.h"
#include "samples.h"

namespace sinter::quant {

/// What no count of an observer's state can exceed: one in a file that does was altered.
inline constexpr int64_t kMostCounted = int64_t{1} << 53;

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

/// An observer with value semantics.
using ObserverValue = Polymorphic<Observer>;
using ObserverFactory = Factory<Observer>;

/// The factory by name. Throws Error, listing the known observers, when there is none.
const ObserverFactory& observer_factory(const std::string& name);
/// Names of all observers there are, sorted.
std::vector<std::string> observer_names();
/// Adds a factory; one of a name that exists is reported at the first look-up.
void add_observer(ObserverFactory factory);

/// What Registered does with an observer.
template <std::derived_from<Observer> T>
void add_kind(T*, const std::string& name, Settings<T> settings) {
  add_observer(detail::make_factory<Observer, T>(name, std::move(settings)));
}

}  // namespace sinter::quant
