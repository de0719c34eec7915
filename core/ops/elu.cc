#include "elu.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Elu::Elu(const EluAttributes& a) : UnaryOp(a) {
  check(std::isfinite(a.alpha), name(), ": alpha is ", a.alpha, ", expected a finite number");
}

UnaryKernel Elu::kernel() const { return {kernel::functions().elu, attributes.alpha}; }

double Elu::at(double x) const { return x > 0 ? x : attributes.alpha * std::expm1(x); }

}  // namespace ops

Tensor elu(const Tensor& x, const EluAttributes& attributes) { return call(ops::Elu{attributes}, x); }

}  // namespace sinter
