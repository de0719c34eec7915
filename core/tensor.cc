#include "tensor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "autograd.h"
#include "parallel.h"
#include "random.h"

namespace sinter {

using detail::Access;

namespace {

thread_local bool grad_on = true;
thread_local bool training_on = false;
thread_local bool own_writes = false;

constexpr int64_t kGrain = 1 << 15;

// Calls f with a value of the C++ type of a DType.
template <class F>
decltype(auto) dispatch(DType dtype, const F& f) {
  switch (dtype) {
    case DType::float32:
      return f(float{});
    case DType::int8:
      return f(int8_t{});
    case DType::uint8:
      return f(uint8_t{});
    case DType::int16:
      return f(int16_t{});
    case DType::int32:
      return f(int32_t{});
    case DType::int64:
      return f(int64_t{});
  }
  fail("tensor: unknown element type");
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, float>) {
    return static_cast<float>(value);
  } else if constexpr (std::is_same_v<From, float>) {
    // The bounds as doubles: 2^63 - 1 rounds up to 2^63 there, hence >=.
    const double rounded = std::nearbyint(static_cast<double>(value));
    if (rounded <= static_cast<double>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (rounded >= static_cast<double>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(rounded);
  } else {
    const auto wide = static_cast<int64_t>(value);
    if (wide < static_cast<int64_t>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (wide > static_cast<int64_t>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(wide);
  }
}

}  // namespace

NoSuchElement::NoSuchElement(size_t at, size_t elements)
    : Error(text("element ", at, " was asked for, where there ", elements == 1 ? "is " : "are ", elements)),
      index(at),
      size(elements) {}
void detail::no_such_element(size_t index, size_t size) { throw NoSuchElement(index, size); }

std::string to_string(const Spec& spec) { return text(spec.dtype, " ", spec.shape); }

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  check(shape.elements() <= std::numeric_limits<int64_t>::max() / size_of(dtype), "out of memory: a tensor of ",
        Spec{dtype, shape}, " has more bytes than 64 bits count");
  Tensor tensor;
  tensor.spec_ = {dtype, shape};
  tensor.storage_ = std::make_shared<Storage>(tensor.bytes());
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor Tensor::ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor tensor = empty(shape, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, float>)
      // The bound as a power of two, which a double holds: 2^63 - 1 would round up.
      check(value == std::floor(value) && value >= static_cast<double>(std::numeric_limits<T>::min()) &&
                value < std::ldexp(1.0, std::numeric_limits<T>::digits),
            "full: ", value, " is no ", dtype);
    T* out = Access::write<T>(tensor);
    const T fill = static_cast<T>(value);
    parallel_for(tensor.elements(), kGrain,
                 [&](int64_t begin, int64_t end) { std::fill_n(out + begin, end - begin, fill); });
  });
  return tensor;
}

Tensor Tensor::arange(int64_t count, DType dtype) {
  Tensor tensor = empty({count}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = Access::write<T>(tensor);
    for (int64_t i = 0; i < count; ++i) {
      check(convert<T>(i) == static_cast<T>(i) && static_cast<int64_t>(static_cast<T>(i)) == i, "arange: ", count,
            " values do not fit ", dtype);
      out[i] = static_cast<T>(i);
    }
  });
  return tensor;
}

Tensor Tensor::from(const Shape& shape, DType dtype, const void* values, int64_t count) {
  check(count == shape.elements(), "from: ", count, " values for shape ", shape, ", expected ", shape.elements());
  Tensor tensor = empty(shape, dtype);
  if (count > 0) std::memcpy(tensor.storage_->data(), values, static_cast<size_t>(tensor.bytes()));
  return tensor;
}

Tensor Tensor::normal(const Shape& shape, Random& random, double std) {
  Tensor tensor = empty(shape);
  fill_normal({Access::write<float>(tensor), static_cast<size_t>(tensor.elements())}, random, std);
  return tensor;
}

Tensor Tensor::uniform(const Shape& shape, Random& random, double low, double high) {
  Tensor tensor = empty(shape);
  fill_uniform({Access::write<float>(tensor), static_cast<size_t>(tensor.elements())}, random, low, high);
  return tensor;
}

const void* Tensor::checked_data(DType dtype) const {
  check(symbol_ == nullptr,
        "a tensor's values were read while its model was traced: the flow of a traced model may not depend on data");
  check(storage_ != nullptr, "the values of an undefined tensor were read");
  check(dtype == spec_.dtype, "tensor is ", spec_, ", read as ", dtype);
  return storage_->data();
}

void* Tensor::writable_data(DType dtype) {
  const void* data = checked_data(dtype);
  storage_->bump();
  if (!own_writes) storage_->expose();
  return const_cast<void*>(data);
}

int64_t Tensor::offset_of(std::span<const int64_t> index) const {
  check(static_cast<int>(index.size()) == rank(), "at: ", index.size(), " indices for a tensor of shape ", shape());
  int64_t offset = 0;
  for (int axis = 0; axis < rank(); ++axis) {
    check(index[axis] >= 0 && index[axis] < size(axis), "at: index ", index[axis], " on axis ", axis,
          " is out of bounds for shape ", shape());
    offset = offset * size(axis) + index[axis];
  }
  return offset;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy = empty(shape(), dtype());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::detach() const {
  Tensor same = *this;
  same.autograd_ = nullptr;
  return same;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return detach();
  Tensor result = empty(shape(), dtype);
  dispatch(this->dtype(), [&](auto from_zero) {
    using From = decltype(from_zero);
    const From* in = data<From>();
    if constexpr (std::is_same_v<From, float>)
      for (int64_t i = 0; i < elements(); ++i)
        check(!std::isnan(in[i]), "to: element ", i, " is NaN, which no ", dtype, " represents");
    dispatch(dtype, [&](auto to_zero) {
      using To = decltype(to_zero);
      To* out = Access::write<To>(result);
      parallel_for(elements(), kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) out[i] = convert<To>(in[i]);
      });
    });
  });
  return result;
}

void Tensor::copy_from(const Tensor& values) {
  check(values.spec_ == spec_, "copy_from: tensor is ", spec_, ", values are ", values.spec_);
  const auto* in = static_cast<const std::byte*>(values.checked_data(dtype()));
  auto* out = static_cast<std::byte*>(const_cast<void*>(checked_data(dtype())));
  storage_->bump();
  if (in == out) return;
  parallel_for(bytes(), kGrain * 4,
               [&](int64_t begin, int64_t end) { std::memcpy(out + begin, in + begin, end - begin); });
}

bool all_finite(const Tensor& tensor) {
  if (tensor.dtype() != DType::float32) return true;
  // x * 0 is 0 or NaN, and a sum of zeros shows one NaN; lanes, so that the loop is a vector's.
  const float* x = tensor.data<float>();
  constexpr int64_t kLanes = 16;
  std::array<float, kLanes> zeros{};
  int64_t i = 0;
  for (; i + kLanes <= tensor.elements(); i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) zeros[static_cast<size_t>(lane)] += x[i + lane] * 0;
  for (; i < tensor.elements(); ++i) zeros[0] += x[i] * 0;
  return std::all_of(zeros.begin(), zeros.end(), [](float zero) { return zero == 0; });
}

detail::GradMode::GradMode(bool on) : before_(std::exchange(grad_on, on)) {}
detail::GradMode::~GradMode() { grad_on = before_; }

NoGrad::NoGrad() : before_(grad_on) { grad_on = false; }
NoGrad::~NoGrad() { grad_on = before_; }
bool grad_enabled() { return grad_on; }

TrainingMode::TrainingMode(bool training) : before_(training_on) { training_on = training; }
TrainingMode::~TrainingMode() { training_on = before_; }
bool training_mode() { return training_on; }

detail::OwnWrites::OwnWrites() : before_(own_writes) { own_writes = true; }
detail::OwnWrites::~OwnWrites() { own_writes = before_; }

namespace {

constexpr int64_t kPrintedEdge = 3;

template <class T>
void print_values(std::string& out, const T* values, const Shape& shape, int axis, int64_t stride) {
  const int64_t count = shape[axis];
  const int64_t inner = count == 0 ? 0 : stride / count;
  out += '[';
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    if (count > 2 * kPrintedEdge + 2 && i == kPrintedEdge) {
      out += "..., ";
      i = count - kPrintedEdge;
    }
    if (axis + 1 == shape.rank())
      out += text(values[i]);
    else
      print_values(out, values + i * inner, shape, axis + 1, inner);
  }
  out += ']';
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined tensor";
  std::string out = to_string(tensor.spec());
  if (Access::symbol(tensor) != nullptr) return out + " (traced)";
  out += ' ';
  dispatch(tensor.dtype(), [&](auto zero) {
    const auto* values = tensor.data<decltype(zero)>();
    if (tensor.rank() == 0)
      out += text(values[0]);
    else
      print_values(out, values, tensor.shape(), 0, tensor.elements());
  });
  return out;
}

}  // namespace sinter
