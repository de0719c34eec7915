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

double Gelu::at(double x) const {
  if (attributes.approximate == "tanh") {
    constexpr double kRoot = 0.79788456080286535588;  // of 2 / pi
    return x * (1 + std::tanh(kRoot * (x + 0.044715 * x * x * x))) / 2;
  }
  return x * (1 + std::erf(x / std::sqrt(2.0))) / 2;
}

}  // namespace ops

Tensor gelu(const Tensor& x, const GeluAttributes& attributes) { return call(ops::Gelu{attributes}, x); }

}  // namespace sinter
