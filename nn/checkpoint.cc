#include "checkpoint.h"

#include <algorithm>
#include <limits>
#include <map>

#include "../core/random.h"

namespace sinter::nn {

namespace {
constexpr size_t kMaxListed = 8;  // differences in one message
const std::string kSettings = "settings/", kState = "model/", kExtra = "module/", kRaw = "raw/",
                  kOptimizer = "optimizer", kCounters = "counter/";
constexpr const char* kEmaSteps = "ema/steps";
}  // namespace

void save(const Module& model, const std::string& path) {
  Archive archive(detail::kCheckpoint);
  detail::save_model(model, archive);
  archive.write(path);
}

void load(Module& model, const std::string& path) {
  const Archive archive = Archive::read(path, detail::kCheckpoint);
  try {
    detail::load_model(model, archive);
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(path)) throw;
    fail(path, ": ", error.what());
  }
}

void save_checkpoint(const Module& model, const TrainingState& state, const std::string& path) {
  Archive archive(detail::kCheckpoint);
  detail::save_model(model, state.ema, archive);
  detail::save_random(archive);
  if (state.optimizer != nullptr) state.optimizer->save(archive, kOptimizer);
  for (const auto& [name, value] : state.counters) archive.set(kCounters + name, value);
  archive.write(path);
}

void load_checkpoint(Module& model, TrainingState& state, const std::string& path) {
  const Archive archive = Archive::read(path, detail::kCheckpoint);
  const bool there = archive.contains(kOptimizer + "/lr"), here = state.optimizer != nullptr;
  check(there == here, path, ": it holds ",
        there ? "an optimiser's state, but no optimiser is given to take it"
              : "no optimiser's state for the one that is given");
  const Random random = detail::saved_random(archive);
  std::map<std::string, int64_t> counters;
  for (const std::string& section : archive.names(kCounters))
    counters[section.substr(kCounters.size())] = archive.integer(section);
  Archive before(detail::kCheckpoint);
  if (here) {
    state.optimizer->save(before, kOptimizer);
    state.optimizer->load(archive, kOptimizer);
  }
  try {
    detail::load_model(model, state.ema, archive);
  } catch (...) {
    if (here) state.optimizer->load(before, kOptimizer);
    throw;
  }
  default_random() = random;
  state.counters = std::move(counters);
}

namespace detail {

void save_settings(const Settings& settings, Archive& archive) {
  for (const auto& [name, value] : settings) archive.set(kSettings + name, value);
}

void check_settings(const Settings& settings, const Archive& archive, const std::string& path) {
  std::map<std::string, std::string> here(settings.begin(), settings.end());
  std::vector<std::string> differences;
  for (const std::string& section : archive.names(kSettings)) {
    const std::string name = section.substr(kSettings.size());
    const std::string& there = archive.text(section);
    const auto it = here.find(name);
    if (it == here.end())
      differences.push_back(text(name, " (", there, ") is only there"));
    else if (it->second != there)
      differences.push_back(text(name, " is ", there, " there and ", it->second, " here"));
    if (it != here.end()) here.erase(it);
  }
  for (const auto& [name, value] : here) differences.push_back(text(name, " (", value, ") is only here"));
  if (differences.empty()) return;
  std::string list;
  for (size_t i = 0; i < std::min(differences.size(), kMaxListed); ++i) list += "\n  " + differences[i];
  if (differences.size() > kMaxListed) list += text("\n  and ", differences.size() - kMaxListed, " more");
  fail(path, ": is the checkpoint of another run:", list);
}

void save_model(const Module& model, Archive& archive) {
  for (const NamedParameter& parameter : model.named_state())
    archive.set(kState + parameter.name, parameter.value.tensor());
  for (const auto& [path, module] : model.modules()) module->save_extra(archive, kExtra + path + "/");
}

void load_model(Module& model, const Archive& archive) {
  std::vector<NamedParameter> state;
  for (const std::string& section : archive.names(kState))
    state.push_back({section.substr(kState.size()), Parameter(archive.tensor(section), false)});
  // What modules add goes first, as it says best what kind of file it is, and back to what it was where anything is
  // refused.
  const auto modules = model.modules();
  const auto load_extra = [&](const Archive& from) {
    for (const auto& [path, module] : modules)
      const_cast<Module&>(*module).load_extra(from, kExtra + path + "/");  // a part of `model`, which is not const
  };
  Archive before(kCheckpoint);
  for (const auto& [path, module] : modules) module->save_extra(before, kExtra + path + "/");
  try {
    load_extra(archive);
    model.load_state(state);
  } catch (...) {
    load_extra(before);
    throw;
  }
}

void save_model(const Module& model, const Ema* ema, Archive& archive) {
  save_model(model, archive);
  if (ema == nullptr) return;
  for (const NamedParameter& raw : model.named_state()) archive.set(kRaw + raw.name, raw.value.tensor());
  for (const NamedParameter& average : ema->state()) archive.set(kState + average.name, average.value.tensor());
  archive.set(kEmaSteps, ema->steps());
}

void load_model(Module& model, Ema* ema, const Archive& archive) {
  check(archive.contains(kEmaSteps) == (ema != nullptr), "checkpoint: it holds ",
        ema == nullptr ? "averages of the weights, but no Ema is given to take them"
                       : "no averages of the weights for the Ema that is given");
  if (ema == nullptr) return load_model(model, archive);
  std::vector<NamedParameter> raw;
  for (const std::string& section : archive.names(kRaw))
    raw.push_back({section.substr(kRaw.size()), Parameter(archive.tensor(section), false)});
  model.check_state(raw);
  const int64_t steps = archive.integer(kEmaSteps, 0, std::numeric_limits<int64_t>::max());
  load_model(model, archive);
  ema->restore(model, steps);
  model.load_state(raw);
}

void save_random(Archive& archive) {
  const Random& random = default_random();
  archive.set("random/seed", random.seed());
  archive.set("random/stream", random.stream());
  archive.set("random/position", random.position());
}

Random saved_random(const Archive& archive) {
  const auto word = [&](const char* name) { return static_cast<uint64_t>(archive.integer(name)); };
  Random random(word("random/seed"), word("random/stream"));
  random.skip(word("random/position"));
  return random;
}

}  // namespace detail

}  // namespace sinter::nn
