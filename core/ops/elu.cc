#include "elu.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Elu::Elu(const EluAttributes& a) : UnaryOp(a) {
  check(std::isfinite(a.alpha), name(), ": alpha is ", a.alpha, ", expected a finite number");
}

UnaryKernel Elu::kernel() const { return {kernel::functions().elu, attributes.alpha}; }

}  // namespace ops

Tensor elu(const Tensor& x, const EluAttributes& attributes) { return call(ops::Elu{attributes}, x); }

}  // namespace sinter
