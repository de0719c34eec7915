#include "hardswish.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Hardswish::kernel() const { return {kernel::functions().hardswish}; }

Tensor hardswish(const Tensor& x) { return call(ops::Hardswish{}, x); }

}  // namespace sinter
