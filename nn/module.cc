#include "module.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>

#include "../core/autograd.h"

namespace sinter::nn {

namespace {

constexpr size_t kListedProblems = 5;

// The name of a class without the namespaces and functions around it.
std::string class_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                         std::free);
  const std::string full = status == 0 ? demangled.get() : type.name();
  int depth = 0;
  for (size_t i = full.size(); i-- > 1;) {
    if (full[i] == '>' || full[i] == ')') ++depth;
    if (full[i] == '<' || full[i] == '(') --depth;
    if (depth == 0 && full[i] == ':' && full[i - 1] == ':') return full.substr(i + 1);
  }
  return full;
}

std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + '.' + name; }

// A module with all below, each module and each parameter once.
class Walk final : public MemberVisitor {
 public:
  struct Found {
    std::string path;
    const Module* module;
    int depth;
    bool leaf = true;  // no modules inside
  };

  explicit Walk(const Module& root) { enter("", root); }

  void module(const std::string& name, const Module& module) override {
    modules[current_].leaf = false;
    enter(join(modules[current_].path, name), module);
  }

  void parameter(const std::string& name, const Parameter& parameter) override {
    if (!parameter.defined()) return;
    if (!storages_.insert(sinter::detail::Access::storage(parameter.tensor()).get()).second) return;
    state.push_back({join(modules[current_].path, name), parameter.share()});
  }

  std::vector<Found> modules;
  std::vector<NamedParameter> state;

 private:
  void enter(std::string path, const Module& module) {
    if (!entered_.insert(&module).second) return;
    const size_t outer = current_;
    const int depth = modules.empty() ? 0 : modules[outer].depth + 1;
    current_ = modules.size();
    modules.push_back({std::move(path), &module, depth});
    module.members(*this);
    current_ = outer;
  }

  size_t current_ = 0;
  std::unordered_set<const Module*> entered_;
  std::unordered_set<const Storage*> storages_;
};

// A subclass that inherits its base's list would silently leave its own layers untrained.
void check_members_listed(const Module& module) {
  const std::type_info& listed = module.members_listed_by();
  check(typeid(module) == listed, class_name(typeid(module)),
        ": it has no SINTER_CHILDREN line of its own, only that of ", class_name(listed),
        "; list the layers of both in one");
}

Walk checked_walk(const Module& root) {
  Walk walk(root);
  for (const auto& found : walk.modules) check_members_listed(*found.module);
  return walk;
}

thread_local int override_mode = -1;  // 0 evaluation, 1 training

using Calls = std::vector<const Module*>;
thread_local Calls calls;   // under way, outermost first
thread_local Calls failed;  // those under way when an error was thrown

struct Call {
  explicit Call(const Module& module) { calls.push_back(&module); }
  ~Call() { calls.pop_back(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
};

// The path of the innermost module of `stack` that belongs to the tree of the outermost.
std::string innermost_path(const Calls& stack) {
  const Walk walk(*stack.front());
  for (size_t i = stack.size(); i-- > 0;)
    for (const auto& found : walk.modules)
      if (found.module == stack[i]) return found.path;
  return "";
}

// The parameters that the outermost module under way lists.
class Listed final : public sinter::detail::ParameterUse {
 public:
  explicit Listed(const Module& root) : root_(root) {
    network = &root;
    recording = grad_enabled();
  }
  void check_listed(const Tensor& parameter, std::string_view op) override {
    if (storages_.empty())
      for (const NamedParameter& own : Walk(root_).state)
        storages_.insert(sinter::detail::Access::storage(own.value.tensor()).get());
    if (!storages_.contains(sinter::detail::Access::storage(parameter).get()))
      sinter::detail::fail_unlisted(parameter, op);
  }

 private:
  const Module& root_;
  std::unordered_set<const Storage*> storages_;
};

std::vector<Tensor> run_all(const Module& module, std::span<const Tensor> x) {
  try {
    return module.forward_all(x);
  } catch (const NoSuchElement& error) {
    if (error.size != x.size()) throw;
    fail(module.title(), ": it reads input ", error.index, " (the first is 0), but the call gave ", x.size(),
         x.size() == 1 ? " input" : " inputs");
  }
}

template <class Forward>
auto call_module(const Module& module, const Forward& forward) {
  const Call call(module);
  std::optional<Listed> listed;
  std::optional<sinter::detail::ParameterUseScope> scope_of_use;
  if (calls.size() == 1) scope_of_use.emplace(&listed.emplace(module));
  failed.clear();  // whatever failed before was dealt with
  try {
    check_members_listed(module);
    const TrainingMode mode(module.training());
    const sinter::detail::ModuleScope scope(&module);
    auto y = forward();
    failed.clear();
    return y;
  } catch (const Error& error) {
    if (failed.empty()) failed = calls;
    if (calls.size() > 1) throw;
    const std::string path = innermost_path(std::exchange(failed, {}));
    if (path.empty() || typeid(error) != typeid(Error)) throw;
    fail(error.what(), " (in ", path, ")");
  }
}

thread_local const Module* forwarding = nullptr;  // whose default `forward` is under way

}  // namespace

Tensor Module::forward(const Tensor& x) const {
  const Module* before = std::exchange(forwarding, this);
  struct Restore {
    const Module* before;
    ~Restore() { forwarding = before; }
  } restore{before};
  std::vector<Tensor> y = run_all(*this, {&x, 1});
  check(y.size() == 1, title(), ": it has ", y.size(), " outputs, expected one; call it with {x}");
  return std::move(y[0]);
}

std::vector<Tensor> Module::forward_all(std::span<const Tensor> x) const {
  check(forwarding != this, title(), ": it overrides neither forward nor forward_all");
  check(x.size() == 1, title(), ": got ", x.size(), " inputs, expected one");
  std::vector<Tensor> y;
  y.push_back(forward(x[0]));
  return y;
}

const std::type_info& Module::members_listed_by() const { return typeid(*this); }

std::string Module::title() const { return class_name(typeid(*this)); }

Tensor Module::operator()(const Tensor& x) const {
  return call_module(*this, [&] { return forward(x); });
}

Results Module::operator()(std::span<const Tensor> x) const {
  return {call_module(*this, [&] { return run_all(*this, x); }), typeid(*this)};
}

void Results::check_index(size_t i) const {
  check(i < size(), module_ == nullptr ? "the network" : class_name(*module_), ": output ", i,
        " (the first is 0) was asked for, but it gave ", size(), size() == 1 ? " output" : " outputs");
}

void Module::train(bool training) {
  for (const auto& found : checked_walk(*this).modules) {
    auto& module = const_cast<Module&>(*found.module);  // a member of this one, which is not const
    module.training_ = training;
    module.on_train(training);
  }
}

std::vector<NamedParameter> Module::parameters() const {
  std::vector<NamedParameter> trained;
  for (auto& parameter : checked_walk(*this).state)
    if (parameter.value.trained()) trained.push_back(std::move(parameter));
  return trained;
}

std::vector<NamedParameter> Module::named_state() const { return checked_walk(*this).state; }

void Module::check_state(const std::vector<NamedParameter>& state) const {
  std::map<std::string_view, const Tensor*> given;
  std::vector<std::string> problems;
  for (const NamedParameter& parameter : state)
    if (!given.emplace(parameter.name, &parameter.value.tensor()).second)
      problems.push_back(parameter.name + " is there twice");
  for (const NamedParameter& own : named_state()) {
    const auto found = given.find(own.name);
    if (found == given.end()) {
      problems.push_back(own.name + " is missing");
      continue;
    }
    const Tensor &to = own.value.tensor(), &from = *found->second;
    given.erase(found);
    if (!from.defined())
      problems.push_back(own.name + " is undefined");
    else if (!(from.spec() == to.spec()))
      problems.push_back(text(own.name, " is ", from.spec(), ", expected ", to.spec()));
  }
  for (const NamedParameter& parameter : state)
    if (given.erase(parameter.name) > 0) problems.push_back(parameter.name + " is not in the module");
  std::string list;
  for (size_t i = 0; i < std::min(problems.size(), kListedProblems); ++i) list += "\n  " + problems[i];
  if (problems.size() > kListedProblems) list += text("\n  and ", problems.size() - kListedProblems, " more");
  check(problems.empty(), "load_state: the state does not fit ", title(), ":", list);
}

void Module::load_state(const std::vector<NamedParameter>& state) {
  check_state(state);
  std::map<std::string_view, Tensor> own;
  const std::vector<NamedParameter> all = named_state();
  for (const NamedParameter& parameter : all) own.emplace(parameter.name, parameter.value.tensor());
  for (const NamedParameter& parameter : state) own.at(parameter.name).copy_from(parameter.value.tensor());
}

std::vector<std::pair<std::string, const Module*>> Module::modules() const {
  std::vector<std::pair<std::string, const Module*>> all;
  for (auto& found : checked_walk(*this).modules) all.emplace_back(std::move(found.path), found.module);
  return all;
}

std::string to_string(const Module& module) {
  std::string out;
  std::vector<std::string> outer;  // paths of the modules around
  for (const auto& [path, found, depth, leaf] : Walk(module).modules) {
    outer.resize(depth);
    const size_t cut = depth == 0 || outer.back().empty() ? 0 : outer.back().size() + 1;
    out += std::string(2 * depth, ' ');
    if (depth > 0) out += path.substr(cut) + ": ";
    out += found->title() + '\n';
    outer.push_back(path);
  }
  return out;
}

ModeOverride::ModeOverride(bool training) : before_(std::exchange(override_mode, training ? 1 : 0)) {}
ModeOverride::~ModeOverride() { override_mode = before_; }
bool ModeOverride::active() { return override_mode >= 0; }

bool Module::training() const { return override_mode < 0 ? training_ : override_mode == 1; }

}  // namespace sinter::nn

namespace sinter {

Graph trace(const nn::Module& model, const Specs& inputs) {
  Traceable traceable;
  nn::Walk walk = nn::checked_walk(model);
  for (auto& found : walk.modules) traceable.modules[found.module] = {std::move(found.path), found.leaf};
  traceable.parameters = std::move(walk.state);
  traceable.run = [&model](std::vector<Tensor> x) {
    const nn::ModeOverride mode(training_mode());
    return model(std::span<const Tensor>(x));
  };
  return trace(traceable, inputs);
}

Graph trace(const nn::Module& model, const Tensor& example) { return trace(model, Specs{example.spec()}); }

}  // namespace sinter
