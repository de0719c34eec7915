#include "relu6.h"

#include "../../core/ops/relu6.h"

namespace sinter::nn {

Tensor ReLU6::forward(const Tensor& x) const { return relu6(x); }

}  // namespace sinter::nn
