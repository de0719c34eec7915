#include "softsign.h"

#include "../../core/ops/softsign.h"

namespace sinter::nn {

Tensor Softsign::forward(const Tensor& x) const { return softsign(x); }

}  // namespace sinter::nn
