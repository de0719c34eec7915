#include "parameter.h"

namespace sinter {

namespace {
Tensor leaf(Tensor value, bool trained) {
  if (value.defined() && trained) value.set_requires_grad(true);
  return value;
}
}  // namespace

Parameter::Parameter(Tensor value, bool trained) : value_(leaf(value.detach(), trained)), trained_(trained) {}

Parameter::Parameter(const Parameter& other)
    : value_(leaf(other.value_.clone(), other.trained_)), trained_(other.trained_) {}

Parameter& Parameter::operator=(const Parameter& other) {
  if (this == &other) return *this;
  if (value_.defined() && other.value_.defined() && value_.spec() == other.value_.spec() && trained_ == other.trained_)
    value_.copy_from(other.value_);
  else
    *this = Parameter(other);
  return *this;
}

Parameter Parameter::share() const {
  Parameter same;
  same.value_ = value_;
  same.trained_ = trained_;
  return same;
}

}  // namespace sinter
