#include "gelu.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

Gelu::Gelu(const GeluAttributes& a) : UnaryOp(a) {
  check(a.approximate == "none" || a.approximate == "tanh", name(), ": approximate is \"", a.approximate,
        "\", expected \"none\" or \"tanh\"");
}

UnaryKernel Gelu::kernel() const {
  return {attributes.approximate == "tanh" ? kernel::functions().gelu_tanh : kernel::functions().gelu};
}

}  // namespace ops

Tensor gelu(const Tensor& x, const GeluAttributes& attributes) { return call(ops::Gelu{attributes}, x); }

}  // namespace sinter
