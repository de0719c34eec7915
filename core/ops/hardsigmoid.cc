#include "hardsigmoid.h"

#include <algorithm>

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Hardsigmoid::Hardsigmoid(const HardsigmoidAttributes& a) : UnaryOp(a) {
  check(std::isfinite(a.slope) && a.slope > 0, name(), ": slope is ", a.slope, ", expected above 0");
  check(std::isfinite(a.offset), name(), ": offset is ", a.offset, ", expected a finite number");
}

UnaryKernel Hardsigmoid::kernel() const {
  return {kernel::functions().hardsigmoid, 1 / attributes.slope, attributes.offset / attributes.slope};
}

double Hardsigmoid::at(double x) const {
  const double width = 1 / attributes.slope;
  return std::min(std::max(x + attributes.offset / attributes.slope, 0.0), width) / width;
}

}  // namespace ops

Tensor hardsigmoid(Tensor x, const HardsigmoidAttributes& attributes) {
  return call(ops::Hardsigmoid{attributes}, std::move(x));
}

}  // namespace sinter
