#include "silu.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Silu::kernel() const { return {kernel::functions().silu}; }

double ops::Silu::at(double x) const { return x / (1 + std::exp(-x)); }

Tensor silu(const Tensor& x) { return call(ops::Silu{}, x); }

}  // namespace sinter
