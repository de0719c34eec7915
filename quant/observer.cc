#include "observer.h"

#include <algorithm>

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

// The built-in observers are listed here: a linker drops objects of a static library that nobody names.
detail::Registry<Observer>& registry() {
  static auto& instance = *[] {
    auto* built_in = new detail::Registry<Observer>("observer");
    built_in->add(detail::make_factory<Observer, Clip>("clip", {{"min", &Clip::min}, {"max", &Clip::max}}));
    built_in->add(detail::make_factory<Observer, ClipStd>("clip_std", {{"std_scale", &ClipStd::std_scale}}));
    built_in->add(detail::make_factory<Observer, FixedScale>("fixed_scale", {{"scale", &FixedScale::scale}}));
    built_in->add(
        detail::make_factory<Observer, Kl>("kl", {{"bins", &Kl::bins}, {"update_interval", &Kl::update_interval}}));
    built_in->add(detail::make_factory<Observer, MinMax>("min_max", {}));
    built_in->add(detail::make_factory<Observer, Mix>("mix", {}));
    built_in->add(detail::make_factory<Observer, Mse>("mse", {}));
    built_in->add(detail::make_factory<Observer, Percentile>(
        "percentile", {{"percentile", &Percentile::percentile}, {"bins", &Percentile::bins}}));
    return built_in;
  }();
  return instance;
}

}  // namespace

float Observer::scale_of(const Range& range) const {
  return march.on_grid(scale_from_range(range.min, range.max, type), of_weights);
}

double batch_weight(double averaging_constant, int64_t k, bool warm_up) {
  if (k <= 1) return 1;
  return warm_up && averaging_constant > 0 ? std::max(averaging_constant, 1 / static_cast<double>(k))
                                           : averaging_constant;
}

Range averaged(const Range& running, const Range& batch, double weight) {
  if (weight == 1) return batch;
  const auto w = static_cast<float>(weight);
  return {running.min + w * (batch.min - running.min), running.max + w * (batch.max - running.max)};
}

const ObserverFactory& observer_factory(const std::string& name) { return registry().find(name); }

std::vector<std::string> observer_names() { return registry().names(); }

void add_observer(ObserverFactory factory) { registry().add(std::move(factory)); }

}  // namespace sinter::quant
