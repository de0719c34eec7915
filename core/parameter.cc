#include "parameter.h"

#include <cmath>

#include "autograd.h"

namespace sinter {

namespace {
Tensor leaf(Tensor value, bool trained) {
  if (value.defined() && trained) {
    value.set_requires_grad(true);
    detail::Access::autograd(value)->parameter = true;
  }
  return value;
}
}  // namespace

Parameter::Parameter(Tensor value, bool trained) : value_(leaf(value.detach(), trained)), trained_(trained) {}

Parameter::Parameter(const Parameter& other)
    : value_(leaf(other.value_.clone(), other.trained_)),
      trained_(other.trained_),
      weight_decay_(other.weight_decay_),
      minimum_(other.minimum_) {
  if (trained_ && defined()) value_.set_requires_grad(other.value_.requires_grad());
}

Parameter& Parameter::operator=(const Parameter& other) {
  if (this == &other) return *this;
  if (value_.defined() && other.value_.defined() && value_.spec() == other.value_.spec() &&
      trained_ == other.trained_) {
    value_.copy_from(other.value_);
    if (trained_) value_.set_requires_grad(other.value_.requires_grad());
  } else {
    *this = Parameter(other);
  }
  weight_decay_ = other.weight_decay_;
  minimum_ = other.minimum_;
  return *this;
}

Parameter Parameter::share() const {
  Parameter same;
  same.value_ = value_;
  same.trained_ = trained_;
  same.weight_decay_ = weight_decay_;
  same.minimum_ = minimum_;
  return same;
}

Parameter& Parameter::set_weight_decay(std::optional<double> weight_decay) {
  const double decay = weight_decay.value_or(0);
  check(std::isfinite(decay) && decay >= 0, "parameter: weight_decay is ", decay, ", expected 0 or more");
  weight_decay_ = weight_decay;
  return *this;
}

Parameter& Parameter::set_minimum(std::optional<float> minimum) {
  check(std::isfinite(minimum.value_or(0)), "parameter: minimum is ", minimum.value_or(0), ", expected finite");
  minimum_ = minimum;
  return *this;
}

}  // namespace sinter
