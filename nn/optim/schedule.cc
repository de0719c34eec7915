#include "schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "../../core/error.h"

namespace sinter::optim {

namespace {

std::string_view to_string(Unit unit) { return unit == Unit::epoch ? "epoch" : "step"; }

int64_t elapsed(const Position& position, Unit unit) {
  return unit == Unit::epoch ? position.step / position.steps_per_epoch : position.step;
}

int64_t total(const Position& position, Unit unit) {
  if (unit == Unit::step) return position.steps;
  return (position.steps + position.steps_per_epoch - 1) / position.steps_per_epoch;
}

// From `from` at part 0 to `to` at part 1 along half a cosine.
double half_cosine(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace

Schedule constant() { return {}; }

Schedule step_decay(StepDecayOptions options) {
  check(options.every >= 1, "step_decay: every is ", options.every, ", expected 1 or more");
  return {text("step_decay(every=", options.every, ", gamma=", options.gamma, ", unit=", to_string(options.unit), ")"),
          [options](double lr, const Position& position) {
            const int64_t drops = elapsed(position, options.unit) / options.every;
            return lr * std::pow(options.gamma, static_cast<double>(drops));
          }};
}

Schedule multi_step(MultiStepOptions options) {
  const auto& milestones = options.milestones;
  std::string list;
  for (size_t i = 0; i < milestones.size(); ++i) {
    check(milestones[i] >= 0 && (i == 0 || milestones[i] > milestones[i - 1]),
          "multi_step: milestones must grow, and not start below 0");
    list += text(i == 0 ? "" : ",", milestones[i]);
  }
  return {text("multi_step(milestones=[", list, "], gamma=", options.gamma, ", unit=", to_string(options.unit), ")"),
          [options](double lr, const Position& position) {
            const auto& all = options.milestones;
            const auto drops = std::upper_bound(all.begin(), all.end(), elapsed(position, options.unit)) - all.begin();
            return lr * std::pow(options.gamma, static_cast<double>(drops));
          }};
}

Schedule cosine(CosineOptions options) {
  check(options.eta_min >= 0, "cosine: eta_min is ", options.eta_min, ", expected 0 or more");
  return {text("cosine(eta_min=", options.eta_min, ", unit=", to_string(options.unit), ")"),
          [options](double lr, const Position& position) {
            const double part = static_cast<double>(elapsed(position, options.unit)) /
                                static_cast<double>(std::max<int64_t>(total(position, options.unit), 1));
            return half_cosine(lr, options.eta_min, part);
          }};
}

Schedule one_cycle(OneCycleOptions options) {
  check(options.rising > 0 && options.rising < 1, "one_cycle: rising is ", options.rising,
        ", expected between 0 and 1");
  check(options.initial >= 0 && options.last >= 0, "one_cycle: initial is ", options.initial, " and last ",
        options.last, ", expected 0 or more");
  return {text("one_cycle(rising=", options.rising, ", initial=", options.initial, ", last=", options.last,
               ", linear=", options.linear, ")"),
          [options](double lr, const Position& position) {
            const auto step = static_cast<double>(position.step), end = static_cast<double>(position.steps) - 1;
            const double peak = std::max(options.rising * static_cast<double>(position.steps) - 1, 0.0);
            const auto anneal = [&](double from, double to, double part) {
              return options.linear ? from + (to - from) * part : half_cosine(from, to, part);
            };
            if (step < peak) return anneal(options.initial * lr, lr, step / peak);
            return anneal(lr, options.last * lr, end > peak ? (step - peak) / (end - peak) : 0.0);
          }};
}

Schedule warm_up(WarmUpOptions options, Schedule then) {
  check(options.steps >= 0 && options.epochs >= 0, "warm_up: steps is ", options.steps, " and epochs ", options.epochs,
        ", expected 0 or more");
  check(options.start >= 0 && options.start <= 1, "warm_up: start is ", options.start, ", expected 0 to 1");
  std::string description = text("warm_up(steps=", options.steps, ", epochs=", options.epochs,
                                 ", start=", options.start, ", then=", then.describe(), ")");
  return {std::move(description), [options, then = std::move(then)](double lr, const Position& position) {
            const int64_t length =
                options.steps + std::llround(options.epochs * static_cast<double>(position.steps_per_epoch));
            const int64_t rest = std::max<int64_t>(position.steps - length, 1);
            const Position after{std::max<int64_t>(position.step - length, 0), rest, position.steps_per_epoch};
            const double to = then(lr, after);
            if (position.step >= length) return to;
            const double part = static_cast<double>(position.step) / static_cast<double>(length);
            return to * (options.start + (1 - options.start) * part);
          }};
}

}  // namespace sinter::optim
