#include "sqrt.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Sqrt::kernel() const { return {kernel::functions().sqrt}; }

Tensor sqrt(Tensor x) { return call(ops::Sqrt{}, std::move(x)); }

}  // namespace sinter
