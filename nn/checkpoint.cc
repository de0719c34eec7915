#include "checkpoint.h"

#include <algorithm>
#include <map>

#include "../core/random.h"

namespace sinter::nn {

namespace {
constexpr size_t kMaxListed = 8;  // differences in one message
const std::string kSettings = "settings/", kState = "model/", kExtra = "module/";
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
