#include "relu.h"

#include "../../core/ops/relu.h"

namespace sinter::nn {

Tensor ReLU::forward(const Tensor& x) const { return relu(x); }

}  // namespace sinter::nn
