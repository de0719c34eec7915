#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dtype.h"
#include "error.h"
#include "shape.h"
#include "storage.h"

namespace sinter {

class Random;
class Tensor;
namespace detail {
struct Autograd;
struct Symbol;
struct Access;
}  // namespace detail

/// Element type and shape of a tensor.
struct Spec {
  DType dtype = DType::float32;
  Shape shape;
  bool operator==(const Spec&) const = default;
};
/// `float32 [2,3]`
std::string to_string(const Spec& spec);

/// A handle to a dense, row-major array. Copies share the elements; `clone()` makes new ones. Images are [N,H,W,C].
/// Tensors made while a model is traced have a shape but no elements; reading those is an error.
class Tensor {
 public:
  /// No tensor at all: `defined()` is false.
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype = DType::float32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::float32);
  static Tensor ones(const Shape& shape, DType dtype = DType::float32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::float32);
  /// 0, 1, ..., count - 1 as [count].
  static Tensor arange(int64_t count, DType dtype = DType::float32);
  /// Throws Error unless there are exactly as many values as elements.
  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values) {
    return from(shape, DTypeOf<T>::value, values.data(), static_cast<int64_t>(values.size()));
  }
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values) {
    return from(shape, std::span<const T>(values));
  }
  static Tensor from(const Shape& shape, std::initializer_list<float> values) {
    return from(shape, std::span<const float>(values.begin(), values.size()));
  }
  /// Normal with mean 0 and the given standard deviation; uniform in [low, high). Drawn from `random`, whose state
  /// advances; the values do not depend on the number of threads.
  static Tensor normal(const Shape& shape, Random& random, double std = 1);
  static Tensor uniform(const Shape& shape, Random& random, double low = 0, double high = 1);

  bool defined() const { return storage_ != nullptr || symbol_ != nullptr; }
  DType dtype() const { return spec_.dtype; }
  const Shape& shape() const { return spec_.shape; }
  const Spec& spec() const { return spec_; }
  int rank() const { return spec_.shape.rank(); }
  int64_t size(int axis) const { return spec_.shape[axis]; }
  int64_t elements() const { return spec_.shape.elements(); }
  int64_t bytes() const { return elements() * size_of(spec_.dtype); }

  /// The elements. Throws Error when T is not the element type, or the tensor is undefined or only traced.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(checked_data(DTypeOf<T>::value));
  }
  /// The elements for writing, now and as long as the tensor lives: what was made of the old values is made anew, and
  /// autograd refuses a backward that needed them. (That costs a look at the elements wherever they are used from now
  /// on: fill a tensor by `copy_from` where its pointer is not needed.)
  template <class T>
  T* mutable_data() {
    return static_cast<T*>(writable_data(DTypeOf<T>::value));
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(elements())};
  }
  /// One element by its index on every axis. Throws Error for an index out of bounds.
  template <class T = float>
  T at(std::initializer_list<int64_t> index) const {
    return data<T>()[offset_of(index)];
  }
  /// The only element. Throws Error when there is not exactly one.
  template <class T = float>
  T item() const {
    check(elements() == 1, "item: tensor is ", spec_.shape, ", expected one element");
    return data<T>()[0];
  }

  /// New elements with the same values; no gradient flows through it (nor through `detach` and `to`).
  Tensor clone() const;
  /// The same elements, outside of any gradient.
  Tensor detach() const;
  /// Elements converted to another type: float to integer rounds half to even and saturates; NaN is an error.
  Tensor to(DType dtype) const;
  /// Writes another tensor's values (same shape and type) into these elements.
  void copy_from(const Tensor& values);

  bool requires_grad() const;
  /// Only for float32 tensors that no operation made. Returns *this.
  Tensor& set_requires_grad(bool requires_grad);
  /// The gradient that `backward` accumulated; undefined before.
  Tensor grad() const;
  /// Replaces the gradient (an undefined tensor clears it).
  void set_grad(Tensor grad);

  /// Adds d(this)/d(leaf) to the gradient of every leaf that requires one. This tensor has one element, or `seed` has
  /// its shape. Frees what the forward pass kept, unless `retain`; a second backward through freed operations is an
  /// error.
  void backward(bool retain = false) const;
  void backward(const Tensor& seed, bool retain = false) const;

 private:
  friend struct detail::Access;
  static Tensor from(const Shape& shape, DType dtype, const void* values, int64_t count);
  const void* checked_data(DType dtype) const;
  void* writable_data(DType dtype);
  int64_t offset_of(std::span<const int64_t> index) const;
  int64_t offset_of(std::initializer_list<int64_t> index) const {
    return offset_of(std::span<const int64_t>(index.begin(), index.size()));
  }

  std::shared_ptr<Storage> storage_;
  Spec spec_;
  std::shared_ptr<detail::Autograd> autograd_;
  std::shared_ptr<const detail::Symbol> symbol_;
};

/// Whether no element is infinite or NaN; integers are finite.
bool all_finite(const Tensor& tensor);

/// Type, shape and values, long axes abbreviated.
std::string to_string(const Tensor& tensor);

/// While alive, operations of this thread record nothing for backward.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
bool grad_enabled();

/// While alive, operations of this thread behave as in training (`true`) or evaluation (`false`): batch
/// normalisation and dropout read it. Outside of any, evaluation.
class TrainingMode {
 public:
  explicit TrainingMode(bool training);
  ~TrainingMode();
  TrainingMode(const TrainingMode&) = delete;
  TrainingMode& operator=(const TrainingMode&) = delete;

 private:
  bool before_;
};
bool training_mode();

}  // namespace sinter

#include "checked_span.h"
