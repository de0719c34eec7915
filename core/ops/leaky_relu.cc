#include "leaky_relu.h"

#include "../kernel/functions.h"

namespace sinter {

namespace ops {

LeakyRelu::LeakyRelu(const LeakyReluAttributes& a) : UnaryOp(a) {
  check(a.negative_slope >= 0, name(), ": negative_slope is ", a.negative_slope, ", expected 0 or more");
}

UnaryKernel LeakyRelu::kernel() const { return {kernel::functions().leaky_relu, attributes.negative_slope}; }

double LeakyRelu::at(double x) const { return x < 0 ? x * attributes.negative_slope : x; }

}  // namespace ops

Tensor leaky_relu(Tensor x, const LeakyReluAttributes& attributes) {
  return call(ops::LeakyRelu{attributes}, std::move(x));
}

}  // namespace sinter
