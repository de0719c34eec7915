#include "tanh.h"

#include "../../core/ops/tanh.h"

namespace sinter::nn {

Tensor Tanh::forward(const Tensor& x) const { return tanh(x); }

}  // namespace sinter::nn
