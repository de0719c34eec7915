#include "clamp.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Clamp::Clamp(const ClampAttributes& a) : UnaryOp(a) {
  check(a.min <= a.max, name(), ": min is ", a.min, " and max is ", a.max, ", expected min <= max");
}

UnaryKernel Clamp::kernel() const { return {kernel::functions().clamp, attributes.min, attributes.max}; }

double Clamp::at(double x) const {
  return x < attributes.min ? attributes.min : x > attributes.max ? attributes.max : x;
}

}  // namespace ops

Tensor clamp(const Tensor& x, const ClampAttributes& attributes) { return call(ops::Clamp{attributes}, x); }

}  // namespace sinter
