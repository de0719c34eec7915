#include "silu.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Silu::kernel() const { return {kernel::functions().silu}; }

Tensor silu(const Tensor& x) { return call(ops::Silu{}, x); }

}  // namespace sinter
