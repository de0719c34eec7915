#include "hardswish.h"

#include "../../core/ops/hardswish.h"

namespace sinter::nn {

Tensor Hardswish::forward(const Tensor& x) const { return hardswish(x); }

}  // namespace sinter::nn
