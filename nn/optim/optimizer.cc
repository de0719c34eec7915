#include "optimizer.h"

#include <algorithm>
#include <cmath>

#include "../../core/autograd.h"
#include "../../core/nearest.h"
#include "../../core/parallel.h"
#include "../../core/profiler.h"

namespace sinter::optim {

namespace {

constexpr int64_t kGrain = 1 << 14;
constexpr int64_t kMostSteps = int64_t{1} << 53;  // one in a file that has more was altered

// Whether the pattern, in which `*` stands for any characters, is the whole name: the usual search that goes back to
// the last star only.
bool glob(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return std::all_of(pattern.begin() + static_cast<std::ptrdiff_t>(p), pattern.end(), [](char c) { return c == '*'; });
}

void check_rate(double lr) { check(std::isfinite(lr) && lr >= 0, "optimizer: lr is ", lr, ", expected 0 or more"); }
void check_decay(double decay) {
  check(std::isfinite(decay) && decay >= 0, "optimizer: weight_decay is ", decay, ", expected 0 or more");
}

std::string slot_section(const std::string& prefix, const std::string& slot, const std::string& parameter) {
  return prefix + "/slot/" + slot + "/" + parameter;
}

}  // namespace

Match::Match(std::string text)
    : pattern_(text),
      matches_([pattern = std::move(text)](const NamedParameter& p) { return glob(pattern, p.name); }) {}

bool is_vector(const NamedParameter& parameter) { return parameter.value.tensor().rank() <= 1; }

Optimizer::Optimizer(double lr, double weight_decay, std::vector<Rule> rules)
    : lr_(lr), weight_decay_(weight_decay), rules_(std::move(rules)) {
  check_rate(lr_);
  check_decay(weight_decay_);
  for (const Rule& rule : rules_) {
    check(std::isfinite(rule.lr_scale) && rule.lr_scale >= 0, "optimizer: a rule's lr_scale is ", rule.lr_scale,
          ", expected 0 or more");
    check_decay(rule.weight_decay.value_or(0));
  }
}

void Optimizer::set_lr(double lr) {
  check_rate(lr);
  lr_ = lr;
}

void Optimizer::check_rules(const std::vector<NamedParameter>& parameters) const {
  for (const Rule& rule : rules_) {
    const std::string& pattern = rule.match.pattern();
    if (pattern.empty() || std::any_of(parameters.begin(), parameters.end(), rule.match)) continue;
    std::vector<std::string> names;
    for (const NamedParameter& parameter : parameters) names.push_back(parameter.name);
    fail("optimizer: a rule's match '", pattern, "' is the name of no parameter", did_you_mean(pattern, names));
  }
}

const Rule* Optimizer::rule_for(const NamedParameter& parameter) const {
  const auto it = std::find_if(rules_.rbegin(), rules_.rend(), [&](const Rule& rule) { return rule.match(parameter); });
  return it == rules_.rend() ? nullptr : &*it;
}

std::pair<double, double> Optimizer::settings(const NamedParameter& parameter) const {
  const Rule* rule = rule_for(parameter);
  const double decay = parameter.value.weight_decay().value_or(weight_decay_);
  if (rule == nullptr) return {lr_, decay};
  return {lr_ * rule->lr_scale, rule->weight_decay.value_or(decay)};
}

Optimizer::State& Optimizer::state_of(const NamedParameter& parameter) {
  State& state = states_[parameter.name];
  if (!state.resolved) {
    const Shape& shape = parameter.value.tensor().shape();
    if (state.steps == 0 && state.slots.empty())
      for (size_t i = 0; i < slots().size(); ++i) state.slots.emplace_back(Tensor::zeros(shape), false);
    for (const Parameter& slot : state.slots)
      check(slot.tensor().shape() == shape, "optimizer: parameter ", parameter.name, " is ", shape,
            ", its state from before is ", slot.tensor().shape());
    if (const Rule* rule = rule_for(parameter)) state.lr_scale = rule->lr_scale;
    state.weight_decay = settings(parameter).second;
    state.resolved = true;
  }
  return state;
}

void Optimizer::step(const std::vector<NamedParameter>& parameters) {
  const Profiler::Scope scope("optimizer step");
  if (states_.empty()) check_rules(parameters);
  items_.clear();
  int64_t total = 0;
  for (const NamedParameter& parameter : parameters) {
    if (!parameter.value.trained() || !parameter.value.tensor().requires_grad()) continue;
    Tensor value = parameter.value.tensor();
    Tensor gradient = value.grad();
    if (!gradient.defined()) continue;
    State& state = state_of(parameter);
    Item item{{.value = sinter::detail::Access::write<float>(value),
               .gradient = gradient.data<float>(),
               .state = {},
               .count = value.elements(),
               .steps = state.steps++,
               .lr = lr_ * state.lr_scale,
               .weight_decay = state.weight_decay},
              total,
              gradient,
              parameter.value.minimum()};
    for (size_t i = 0; i < state.slots.size(); ++i) {
      check(state.slots[i].tensor().shape() == value.shape(), "optimizer: parameter ", parameter.name, " is ",
            value.shape(), ", its state from before is ", state.slots[i].tensor().shape());
      item.whole.state[i] = sinter::detail::Access::write<float>(state.slots[i].tensor());
    }
    total += item.whole.count;
    items_.push_back(std::move(item));
  }
  const auto take_step = [this](const Chunk& chunk, const std::optional<float>& minimum) {
    update(chunk);
    if (minimum)
      for (int64_t i = 0; i < chunk.count; ++i) chunk.value[i] = chunk.value[i] < *minimum ? *minimum : chunk.value[i];
  };
  if (whole()) {
    for (const Item& item : items_) take_step(item.whole, item.minimum);
    total = 0;  // nothing is left
  }
  parallel_for(total, kGrain, [&](int64_t begin, int64_t end) {
    auto item = std::upper_bound(items_.begin(), items_.end(), begin,
                                 [](int64_t at, const Item& other) { return at < other.begin; }) -
                1;
    for (; begin < end; ++item) {
      Chunk chunk = item->whole;
      const int64_t offset = begin - item->begin;
      chunk.count = std::min(end - begin, chunk.count - offset);
      chunk.value += offset;
      chunk.gradient += offset;
      for (float*& slot : chunk.state)
        if (slot != nullptr) slot += offset;
      take_step(chunk, item->minimum);
      begin += chunk.count;
    }
  });
  items_.clear();  // the gradients are not ours to keep
}

void Optimizer::save(Archive& archive, const std::string& prefix) const {
  archive.set(prefix + "/lr", lr_);
  const std::vector<std::string> names = slots();
  for (const auto& [parameter, state] : states_) {
    archive.set(prefix + "/steps/" + parameter, state.steps);
    for (size_t i = 0; i < names.size(); ++i)
      archive.set(slot_section(prefix, names[i], parameter), state.slots[i].tensor().clone());
  }
}

std::string Optimizer::not_finite() const {
  for (const auto& [parameter, state] : states_)
    for (const Parameter& slot : state.slots)
      if (!all_finite(slot.tensor())) return parameter;
  return "";
}

void Optimizer::load(const Archive& archive, const std::string& prefix) {
  const std::vector<std::string> names = slots();
  std::unordered_map<std::string, State> states;
  const std::string steps = prefix + "/steps/";
  for (const std::string& section : archive.names(steps)) {
    const std::string parameter = section.substr(steps.size());
    State& state = states[parameter];
    state.steps = archive.integer(section, 0, kMostSteps);
    for (const std::string& slot : names)
      state.slots.emplace_back(archive.tensor(slot_section(prefix, slot, parameter)).clone(), false);
  }
  const size_t expected = states.size() * names.size(), found = archive.names(prefix + "/slot/").size();
  check(found == expected, "optimizer: the file holds ", found, " tensors of state, expected ", expected, " for ",
        describe());
  set_lr(archive.real(prefix + "/lr"));
  states_ = std::move(states);
}

void zero_grad(const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& parameter : parameters) {
    Tensor value = parameter.value.tensor();
    if (value.grad().defined()) value.set_grad({});
  }
}

}  // namespace sinter::optim
