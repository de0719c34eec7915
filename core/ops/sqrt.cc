#include "sqrt.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Sqrt::kernel() const { return {kernel::functions().sqrt}; }

double ops::Sqrt::at(double x) const { return std::sqrt(x); }

Tensor sqrt(Tensor x) { return call(ops::Sqrt{}, std::move(x)); }

}  // namespace sinter
