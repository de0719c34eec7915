#include "sigmoid.h"

#include "../../core/ops/sigmoid.h"

namespace sinter::nn {

Tensor Sigmoid::forward(const Tensor& x) const { return sigmoid(x); }

}  // namespace sinter::nn
