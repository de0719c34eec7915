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
/// the framework, as `batch_weight` says: `averaging_constant`, its c, and `warm_up` are keywords of every observer.
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

  /// The scale that a range becomes: on the march's grid. Throws Error for a range that is not finite.
  float scale_of(const Range& range) const;

  /// What the range is for, set by the framework: the integers, whose scales are on which grid; and whether averages of
  /// the observer's own are to warm up.
  Bounds type{};
  Arithmetic march{};
  bool of_weights = false;  ///< whose grid is another with some options
  bool warm_up = true;
};

/// What batch k, counted from 1, weighs in a running range, m += weight (batch - m): the first 1, then max(c, 1 / k),
/// so that batches are averaged alike until 1 / k falls below c; without `warm_up` c, as in PyTorch. c = 0 is no
/// average: the range stays as it is.
double batch_weight(double averaging_constant, int64_t k, bool warm_up);

/// running + weight (batch - running); for 1 exactly the batch's.
Range averaged(const Range& running, const Range& batch, double weight);

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
