#include "abs.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Abs::kernel() const { return {kernel::functions().abs}; }

double ops::Abs::at(double x) const { return std::abs(x); }

Tensor abs(const Tensor& x) { return call(ops::Abs{}, x); }

}  // namespace sinter
