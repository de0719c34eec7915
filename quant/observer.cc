#include "observer.h"

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

const ObserverFactory& observer_factory(const std::string& name) { return registry().find(name); }

std::vector<std::string> observer_names() { return registry().names(); }

void add_observer(ObserverFactory factory) { registry().add(std::move(factory)); }

}  // namespace sinter::quant
