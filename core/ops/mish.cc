#include "mish.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Mish::kernel() const { return {kernel::functions().mish}; }

Tensor mish(const Tensor& x) { return call(ops::Mish{}, x); }

}  // namespace sinter
