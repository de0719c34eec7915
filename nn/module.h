#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "../core/graph.h"
#include "../core/op.h"
#include "../core/parameter.h"

namespace sinter::nn {

class Module;

/// Walks a module's members in the order of its SINTER_CHILDREN line.
class MemberVisitor {
 public:
  virtual ~MemberVisitor() = default;
  virtual void parameter(const std::string& name, const Parameter& parameter) = 0;
  virtual void module(const std::string& name, const Module& module) = 0;
};

/// A piece of a network. A user's module is a struct with layers as members, one SINTER_CHILDREN line that lists them,
/// and a `forward`. It copies (parameters are cloned), moves, and needs no destructor.
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
  /// Several inputs or outputs.
  virtual std::vector<Tensor> forward_all(std::span<const Tensor> x) const;
  /// What SINTER_CHILDREN defines: it does not compile without.
  virtual void members(MemberVisitor& visitor) const = 0;

  Tensor operator()(const Tensor& x) const;
  std::vector<Tensor> operator()(std::initializer_list<Tensor> x) const;

  /// Training or evaluation behaviour (batch normalisation), for this module and all below. Modules start in training.
  void train(bool training = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  /// Trained parameters, then buffers only with `named_state`, under their paths; they share the elements.
  std::vector<NamedParameter> parameters() const;
  std::vector<NamedParameter> named_state() const;
  /// Copies values by name. Throws Error listing names missing on either side and shapes that differ; then nothing is
  /// changed.
  void load_state(const std::vector<NamedParameter>& state);
  /// All modules below and including this, with paths ("" is this one).
  std::vector<std::pair<std::string, const Module*>> modules() const;

  /// Called on every module by `train`; override to react (prepared models).
  virtual void on_train(bool) {}

 private:
  template <class Call>
  auto guarded(const Call& call) const;
  bool training_ = true;
};

/// While alive, all modules run by this thread behave as in training or evaluation, whatever their flags say.
class ModeOverride {
 public:
  explicit ModeOverride(bool training);
  ~ModeOverride();
  ModeOverride(const ModeOverride&) = delete;
  ModeOverride& operator=(const ModeOverride&) = delete;

 private:
  int before_;
};

namespace detail {

void check_members_listed(const Module& module, const std::type_info& listed);

inline void visit_member(MemberVisitor& v, const std::string& name, const Parameter& p) { v.parameter(name, p); }
inline void visit_member(MemberVisitor& v, const std::string& name, const Module& m) { v.module(name, m); }
template <class M>
requires requires(const M& m) {
  { *m } -> std::convertible_to<const Module&>;
}
void visit_member(MemberVisitor& v, const std::string& name, const M& pointer) {  // unique_ptr, shared_ptr, optional
  if (pointer) v.module(name, *pointer);
}
template <class M>
void visit_member(MemberVisitor& v, const std::string& name, const std::vector<M>& list) {
  for (size_t i = 0; i < list.size(); ++i) visit_member(v, name + "." + std::to_string(i), list[i]);
}

template <class... Members>
void visit_members(MemberVisitor& visitor, const Module& module, const std::type_info& listed,
                   [[maybe_unused]] std::string_view names, const Members&... members) {
  check_members_listed(module, listed);
  (visit_member(visitor, std::string(::sinter::detail::next_name(names)), members), ...);
}

}  // namespace detail

/// Lists a module's layers, parameters and vectors of them, in the order in which they should be named.
#define SINTER_CHILDREN(...)                                                                           \
  void members(::sinter::nn::MemberVisitor& visitor_) const override {                                 \
    ::sinter::nn::detail::visit_members(visitor_, *this, typeid(std::remove_cvref_t<decltype(*this)>), \
                                        #__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__);                      \
  }

}  // namespace sinter::nn

namespace sinter {
/// The graph of a model for inputs like `example`, sharing its parameters; see core/graph.h.
Graph trace(const nn::Module& model, const Tensor& example);
Graph trace(const nn::Module& model, const Specs& inputs);
}  // namespace sinter
