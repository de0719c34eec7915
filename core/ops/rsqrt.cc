#include "rsqrt.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Rsqrt::kernel() const { return {kernel::functions().rsqrt}; }

Tensor rsqrt(Tensor x) { return call(ops::Rsqrt{}, std::move(x)); }

}  // namespace sinter
