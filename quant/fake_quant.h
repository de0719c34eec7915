#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "contract.h"
#include "registry.h"

namespace sinter::quant {

/// What a learned number may start from.
struct LearnedStart {
  Bounds bounds{};                   ///< the integers that will be used
  double mean_abs = 0, max_abs = 0;  ///< of the values at hand: this batch's, or the weights'
  std::optional<float> scale{};      ///< what the observer's range asks for, where something was observed
  std::optional<float> reach{};      ///< that range's largest absolute value
  bool weights = false;
};

/// How a tensor's real values become integers, whose scale an observer's range gives or training finds. To write one:
/// derive; where it learns, name the number that belongs to each scale, and say how the scale and the gradient follow
/// from it.
class FakeQuantize {
 public:
  virtual ~FakeQuantize() = default;
  /// The learned number's name among the parameters, as in `<node>.activation.scale`; empty: nothing is learned.
  virtual std::string_view learned() const { return {}; }
  /// The integers that are used, of those of the type.
  virtual Bounds bounds(const Bounds& type) const { return type; }
  /// The gradient passes to values that round to within the bounds; or, where this is true, that are strictly inside.
  virtual bool strictly_inside() const { return false; }
  /// Where learning starts; positive.
  virtual double start(const LearnedStart&) const { return 1; }
  /// The scale of a learned number, before the march's grid.
  virtual float scale(float learned, const Bounds&) const { return learned; }
  /// d(quantised value) / d(learned number) for values v in units of the scale: after the activation, not rounded.
  virtual void slopes(const float* /*v*/, int64_t count, const Bounds&, Rounding, float* out) const {
    for (int64_t i = 0; i < count; ++i) out[i] = 0;
  }
  /// A factor on the learned number's gradient, which is a sum over `values` elements (of one image, for activations).
  virtual double gradient_scale(int64_t /*values*/, const Bounds&) const { return 1; }
  /// Weight decay of the learned number where no rule of the optimiser's gives one; none: the optimiser's own.
  virtual std::optional<double> weight_decay() const { return std::nullopt; }
  /// The observer's averaging constant where the user gives none; none: the observer's own.
  virtual std::optional<double> averaging_constant() const { return std::nullopt; }
  /// Throws Error for settings that make no sense; called once they are set.
  virtual void validate() const {}
};

using FakeQuantValue = Polymorphic<FakeQuantize>;
using FakeQuantFactory = Factory<FakeQuantize>;

/// The factory by name. Throws Error, listing the known fake-quants, when there is none.
const FakeQuantFactory& fake_quant_factory(const std::string& name);
/// Names of all fake-quants there are, sorted.
std::vector<std::string> fake_quant_names();
/// Adds a factory; one of a name that exists is reported at the first look-up.
void add_fake_quant(FakeQuantFactory factory);

/// What Registered does with a fake-quant.
template <std::derived_from<FakeQuantize> T>
void add_kind(T*, const std::string& name, Settings<T> settings) {
  add_fake_quant(detail::make_factory<FakeQuantize, T>(name, std::move(settings)));
}

}  // namespace sinter::quant
