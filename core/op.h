#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor.h"

namespace sinter {

using Specs = std::vector<Spec>;
using Inputs = std::span<const Tensor>;
using Outputs = std::span<Tensor>;

/// One attribute of an operation, for printing, comparing and export.
struct Field {
  using Value = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;
  std::string name;
  Value value;
  bool operator==(const Field&) const = default;
};
/// `stride=2`
std::string to_string(const Field& field);

/// What one call of an operation knows and keeps. `forward` keeps tensors, `backward` reads them; nothing is kept
/// where no gradient will be asked for.
class Context {
 public:
  bool training() const { return training_; }
  /// Whether a backward may follow; an operation may skip work that only serves it.
  bool recording() const { return recording_; }
  /// Keeps an input, an output or an intermediate result for backward, in order.
  void keep(const Tensor& tensor);
  /// The i-th kept tensor. Throws Error, naming the operation, when its elements were written to since.
  Tensor kept(size_t i) const;
  size_t kept_count() const { return kept_.size(); }
  /// Shape and type of the i-th input.
  const Spec& input(size_t i) const { return inputs_[i]; }

 private:
  friend struct detail::Access;
  struct Kept {
    std::shared_ptr<Storage> storage;
    Spec spec;
    Storage::Stamp stamp;
  };
  bool training_ = false;
  bool recording_ = false;
  std::string_view op_;
  std::vector<Kept> kept_;
  Specs inputs_;
  std::string node_;  // of a graph, where a profiler records
};

/// The gradients of one operation's inputs, filled in by `backward`.
class Gradients {
 public:
  /// Whether the gradient of input i is used; backward skips the others.
  bool wanted(size_t i) const { return wanted_[i]; }
  /// The gradient of input i: float32 of the input's shape. It may be one of the tensors `dy`, handed on.
  void set(size_t i, Tensor gradient);
  /// A new, unset tensor as the gradient of input i.
  Tensor& create(size_t i);
  size_t size() const { return wanted_.size(); }

 private:
  friend struct detail::Access;
  std::vector<bool> wanted_;
  std::vector<Tensor> values_;
  const Specs* inputs_ = nullptr;
  std::string_view op_;
};

/// How an operation's first output may lie in memory.
enum class Aliasing {
  none,   ///< outputs are memory of their own
  reuse,  ///< output 0 may overwrite input 0 when nobody else uses it: same shape and type, element by element
  view,   ///< output 0 is input 0 under another shape
};

/// One operation: attributes, shapes, forward and backward. Objects are immutable; one serves any number of calls.
class Op {
 public:
  virtual ~Op() = default;
  /// The name in messages, graphs and node names: `conv2d`.
  virtual std::string_view name() const = 0;
  /// Attributes in order of declaration.
  virtual std::vector<Field> fields() const { return {}; }
  /// Output shapes and types. Throws Error, starting with the operation's name, when the inputs do not fit.
  virtual Specs infer(std::span<const Spec> x) const = 0;
  /// Fills the outputs, which are allocated as `infer` said.
  virtual void forward(Inputs x, Outputs y, Context& context) const = 0;
  /// Sets the wanted gradients from the outputs' gradients (float32; all defined, zero where none came). `dy` may be
  /// moved from, and a moved tensor that nobody else uses may be overwritten (`take_or_empty`).
  virtual void backward(const Context& context, Outputs dy, Gradients& dx) const;
  /// False: no gradient flows through (argmax).
  virtual bool differentiable() const { return true; }
  virtual Aliasing aliasing() const { return Aliasing::none; }
  /// Multiply-accumulates of one call, for summaries.
  virtual int64_t macs(std::span<const Spec>) const { return 0; }
};

namespace detail {
void append_field(std::vector<Field>& out, std::string_view name, bool value);
void append_field(std::vector<Field>& out, std::string_view name, int64_t value);
void append_field(std::vector<Field>& out, std::string_view name, double value);
void append_field(std::vector<Field>& out, std::string_view name, const std::string& value);
void append_field(std::vector<Field>& out, std::string_view name, const std::vector<int64_t>& value);
/// Takes the attribute's value from the field of its name; one that is missing stays as it is. Throws Error for a value
/// of another type.
void assign_field(std::span<const Field> fields, std::string_view name, bool& value);
void assign_field(std::span<const Field> fields, std::string_view name, int64_t& value);
void assign_field(std::span<const Field> fields, std::string_view name, double& value);
void assign_field(std::span<const Field> fields, std::string_view name, std::string& value);
void assign_field(std::span<const Field> fields, std::string_view name, std::vector<int64_t>& value);
/// Cuts the next name off a macro's `a, b, c`.
std::string_view next_name(std::string_view& names);
}  // namespace detail

/// Lists the members of an attributes struct, all of them, in order of declaration; anything else does not compile
/// or is caught by the compiler's count of members. Types: bool, int64_t, double, std::string, std::vector<int64_t>.
#define SINTER_FIELDS(Type, ...)                                                                            \
  inline std::vector<::sinter::Field> fields_of(const Type& attributes_) {                                  \
    const auto& [__VA_ARGS__] = attributes_;                                                                \
    std::vector<::sinter::Field> out_;                                                                      \
    std::string_view names_ = #__VA_ARGS__;                                                                 \
    [&](const auto&... values_) {                                                                           \
      (::sinter::detail::append_field(out_, ::sinter::detail::next_name(names_), values_), ...);            \
    }(__VA_ARGS__);                                                                                         \
    return out_;                                                                                            \
  }                                                                                                         \
  [[maybe_unused]] inline void assign_fields(Type& attributes_, std::span<const ::sinter::Field> fields_) { \
    auto& [__VA_ARGS__] = attributes_;                                                                      \
    std::string_view names_ = #__VA_ARGS__;                                                                 \
    [&](auto&... values_) {                                                                                 \
      (::sinter::detail::assign_field(fields_, ::sinter::detail::next_name(names_), values_), ...);         \
    }(__VA_ARGS__);                                                                                         \
  }

/// An operation with attributes: `struct Conv2d final : OpWith<ConvAttributes>`, made as `ops::Conv2d{{.stride = 2}}`.
template <class Attributes>
class OpWith : public Op {
 public:
  OpWith() = default;
  OpWith(Attributes value) : attributes(std::move(value)) {}
  std::vector<Field> fields() const override { return fields_of(attributes); }

  Attributes attributes;
};

/// Runs an operation on tensors: shape inference, forward, and what tape and trace record. An input that is moved in
/// and used nowhere else may be overwritten.
std::vector<Tensor> call_all(std::shared_ptr<const Op> op, std::vector<Tensor> inputs);

/// The first output of an operation.
template <class O, class... Xs>
Tensor call(O op, Xs&&... xs) {
  std::vector<Tensor> inputs;
  inputs.reserve(sizeof...(xs));
  (inputs.push_back(std::forward<Xs>(xs)), ...);
  return std::move(call_all(std::make_shared<const O>(std::move(op)), std::move(inputs))[0]);
}

/// `tensor` itself when it is the only handle to float32 elements that nobody else uses, else a new tensor of its
/// shape: where a backward may write. (`tensor` keeps its handle: read it as the source in both cases.)
Tensor reuse_or_empty(const Tensor& tensor);

/// Sets every wanted gradient to zeros: the backward of an empty batch.
void zero_gradients(const Context& context, Gradients& dx);

}  // namespace sinter
