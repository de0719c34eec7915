#include "mish.h"

#include "../../core/ops/mish.h"

namespace sinter::nn {

Tensor Mish::forward(const Tensor& x) const { return mish(x); }

}  // namespace sinter::nn
