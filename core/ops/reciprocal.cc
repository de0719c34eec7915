#include "reciprocal.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Reciprocal::kernel() const { return {kernel::functions().reciprocal}; }

Tensor reciprocal(Tensor x) { return call(ops::Reciprocal{}, std::move(x)); }

}  // namespace sinter
