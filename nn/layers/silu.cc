#include "silu.h"

#include "../../core/ops/silu.h"

namespace sinter::nn {

Tensor SiLU::forward(const Tensor& x) const { return silu(x); }

}  // namespace sinter::nn
