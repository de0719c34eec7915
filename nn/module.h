#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "../core/graph.h"
#include "../core/op.h"
#include "../core/parameter.h"
#include "freezing.h"

namespace sinter {
class Archive;
}

namespace sinter::nn {

class Module;

/// Walks a module's members in the order of its SINTER_CHILDREN line.
class MemberVisitor {
 public:
  virtual ~MemberVisitor() = default;
  virtual void parameter(const std::string& name, const Parameter& parameter) = 0;
  virtual void module(const std::string& name, const Module& module) = 0;
};

/// What a module gave: a vector, whose index beyond the last is an Error.
class Results : public std::vector<Tensor> {
 public:
  Results(std::vector<Tensor> outputs) : std::vector<Tensor>(std::move(outputs)) {}
  Results(std::vector<Tensor> outputs, const std::type_info& module)
      : std::vector<Tensor>(std::move(outputs)), module_(&module) {}
  Tensor& operator[](size_t i) {
    check_index(i);
    return std::vector<Tensor>::operator[](i);
  }
  const Tensor& operator[](size_t i) const {
    check_index(i);
    return std::vector<Tensor>::operator[](i);
  }

 private:
  void check_index(size_t i) const;
  const std::type_info* module_ = nullptr;  // for messages
};
/// As losses and metrics see them.
using Outputs = Results;

/// A piece of a network. A user's module is a struct with layers as members, one SINTER_CHILDREN line that lists them,
/// and a `forward`. It copies (parameters are cloned), moves (parameters stay the same), and needs no destructor.
///
/// Two modules may hold the same parameter (`Parameter::share`) or the same module (a std::shared_ptr in both): it then
/// appears once, under its first name. A copy of such a module shares what std::shared_ptr shares, and has parameters
/// of its own for the rest.
class Module {
 public:
  Module() = default;
  Module(const Module&) = default;
  Module(Module&&) noexcept = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) noexcept = default;
  virtual ~Module() = default;

  /// One input, one output. Override this or forward_all.
  virtual Tensor forward(const Tensor& x) const;
  /// Several inputs or outputs. Reading more inputs than the call gave is an Error that says so.
  virtual std::vector<Tensor> forward_all(std::span<const Tensor> x) const;

  /// What SINTER_CHILDREN defines: it does not compile without.
  virtual void members(MemberVisitor& visitor) const = 0;
  /// The class whose SINTER_CHILDREN line this is. Only a `members` written by hand does without.
  virtual const std::type_info& members_listed_by() const;
  /// One line for printing: the class, and for layers their options.
  virtual std::string title() const;

  /// Runs `forward` in the module's mode. An Error thrown below ends with the path of the module that it came from:
  /// `... (in body.3.conv1)`. Throws Error for a parameter that is used but not listed in SINTER_CHILDREN, which
  /// would be neither trained nor saved; one that is frozen may be.
  Tensor operator()(const Tensor& x) const;
  Results operator()(std::span<const Tensor> x) const;
  Results operator()(std::initializer_list<Tensor> x) const {
    return (*this)(std::span<const Tensor>(x.begin(), x.size()));
  }

  /// Training or evaluation behaviour (batch normalisation, dropout), for this module and all below. Modules start in
  /// training.
  void train(bool training = true);
  void eval() { train(false); }
  /// The mode that it runs in: its own, or that of `fit`, `evaluate` or tracing while these run it.
  bool training() const;

  /// What is trained, under paths such as `body.3.conv1.weight`; the values share the module's elements.
  std::vector<NamedParameter> parameters() const;
  /// What is trained and the buffers (running statistics), in the order of the members.
  std::vector<NamedParameter> named_state() const;
  /// Throws Error, with the first names missing on either side and shapes that differ, and how many there are, where a
  /// state does not fit.
  void check_state(const std::vector<NamedParameter>& state) const;
  /// Copies values by name. Throws Error as `check_state` does; then nothing is changed.
  void load_state(const std::vector<NamedParameter>& state);
  /// This module (with path "") and all modules below, outer before inner.
  std::vector<std::pair<std::string, const Module*>> modules() const;

  /// Called on every module by `train`; override to react.
  virtual void on_train(bool) {}
  /// False: `fit` runs the module as it is, as its graph does not show all that it does (a model in quantisation-aware
  /// training).
  virtual bool traceable() const { return true; }
  /// Called by `fit` before it starts. Throws Error when this module cannot be trained as it stands.
  virtual void check_trainable() const {}
  /// What of this module by itself, without those inside, stays where `Freezing::now()` says so. `fit` refuses to
  /// freeze what no module has.
  virtual Frozen freezable() const { return {}; }
  /// Shows what of this module by itself is worth a histogram in a log, besides its parameters, in a forward pass of
  /// these inputs of the whole model: `scales/conv1`, say. Called by `fit` where histograms are logged.
  virtual void show(std::span<const Tensor> /*x*/,
                    const std::function<void(const std::string& name, const Tensor& values)>&) const {}
  /// What a module has besides parameters and buffers and a checkpoint must carry, as sections below `prefix`.
  /// `load_extra` throws Error, before it changes anything, for sections that do not fit.
  virtual void save_extra(Archive&, const std::string& /*prefix*/) const {}
  virtual void load_extra(const Archive&, const std::string& /*prefix*/) {}

 private:
  bool training_ = true;
};

/// The tree of modules, one title a line, indented.
std::string to_string(const Module& module);

/// While alive, all modules run by this thread behave as in training or evaluation, whatever their flags say.
class ModeOverride {
 public:
  explicit ModeOverride(bool training);
  ~ModeOverride();
  /// Whether this thread is inside one, as it is in `fit` and `evaluate`.
  static bool active();
  ModeOverride(const ModeOverride&) = delete;
  ModeOverride& operator=(const ModeOverride&) = delete;

 private:
  int before_;
};

namespace detail {

template <class M>
inline constexpr bool kList = false;
template <class M>
inline constexpr bool kList<std::vector<M>> = true;
template <class M, size_t N>
inline constexpr bool kList<std::array<M, N>> = true;

template <class M>
inline constexpr bool kPointer = requires(const M& m) {  // unique_ptr, shared_ptr, optional
  static_cast<bool>(m);
  { *m } -> std::convertible_to<const Module&>;
};

template <class M>
void visit_member(MemberVisitor& v, const std::string& name, const M& member) {
  if constexpr (std::is_base_of_v<Parameter, M>) {
    v.parameter(name, member);
  } else if constexpr (std::is_base_of_v<Module, M>) {
    v.module(name, member);
  } else if constexpr (kList<M>) {
    size_t i = 0;
    for (const auto& item : member) visit_member(v, name + "." + std::to_string(i++), item);
  } else if constexpr (kPointer<M>) {
    if (member) v.module(name, *member);
  } else {
    static_assert(sizeof(M) == 0,
                  "SINTER_CHILDREN lists modules and parameters, and vectors, arrays, optionals and pointers of them");
  }
}

template <class... Members>
void visit_members([[maybe_unused]] MemberVisitor& visitor, [[maybe_unused]] std::string_view names,
                   const Members&... members) {
  (visit_member(visitor, std::string(::sinter::detail::next_name(names)), members), ...);
}

}  // namespace detail

/// Lists a module's layers and parameters, and vectors, arrays, optionals and pointers of them, in the order in which
/// they should be named. A class derived from a module with such a line has one of its own, which repeats the base's.
#define SINTER_CHILDREN(...)                                                                \
  void members([[maybe_unused]] ::sinter::nn::MemberVisitor& visitor_) const override {     \
    ::sinter::nn::detail::visit_members(visitor_, #__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__); \
  }                                                                                         \
  const std::type_info& members_listed_by() const override { return typeid(std::remove_cvref_t<decltype(*this)>); }

}  // namespace sinter::nn

namespace sinter {
/// The graph of a model for inputs like `example`, sharing its parameters; see core/graph.h.
Graph trace(const nn::Module& model, const Tensor& example);
Graph trace(const nn::Module& model, const Specs& inputs);
}  // namespace sinter
