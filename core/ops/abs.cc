#include "abs.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Abs::kernel() const { return {kernel::functions().abs}; }

Tensor abs(const Tensor& x) { return call(ops::Abs{}, x); }

}  // namespace sinter
