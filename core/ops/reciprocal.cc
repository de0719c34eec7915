#include "reciprocal.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Reciprocal::kernel() const { return {kernel::functions().reciprocal}; }

double ops::Reciprocal::at(double x) const { return 1 / x; }

Tensor reciprocal(Tensor x) { return call(ops::Reciprocal{}, std::move(x)); }

}  // namespace sinter
