#include "hardsigmoid.h"

#include "../../core/ops/hardsigmoid.h"

namespace sinter::nn {

Tensor Hardsigmoid::forward(const Tensor& x) const { return hardsigmoid(x); }

}  // namespace sinter::nn
