#include "pow.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Pow::Pow(const PowAttributes& a) : UnaryOp(a) {
  check(std::isfinite(a.exponent), name(), ": exponent is ", a.exponent, ", expected a finite number");
}

UnaryKernel Pow::kernel() const { return {kernel::functions().pow, attributes.exponent}; }

double Pow::at(double x) const { return std::pow(x, attributes.exponent); }

}  // namespace ops

Tensor pow(const Tensor& x, double exponent) { return call(ops::Pow{{exponent}}, x); }
Tensor square(const Tensor& x) { return pow(x, 2); }

}  // namespace sinter
