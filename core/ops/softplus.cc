#include "softplus.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Softplus::Softplus(const SoftplusAttributes& a) : UnaryOp(a) {
  check(std::isfinite(a.beta) && a.beta > 0, name(), ": beta is ", a.beta, ", expected above 0");
  check(!std::isnan(a.threshold), name(), ": threshold is NaN, expected a number");
}

UnaryKernel Softplus::kernel() const { return {kernel::functions().softplus, attributes.beta, attributes.threshold}; }

double Softplus::at(double x) const {
  return x * attributes.beta > attributes.threshold ? x : std::log1p(std::exp(x * attributes.beta)) / attributes.beta;
}

}  // namespace ops

Tensor softplus(const Tensor& x, const SoftplusAttributes& attributes) { return call(ops::Softplus{attributes}, x); }

}  // namespace sinter
