#include "rsqrt.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Rsqrt::kernel() const { return {kernel::functions().rsqrt}; }

double ops::Rsqrt::at(double x) const { return 1 / std::sqrt(x); }

Tensor rsqrt(Tensor x) { return call(ops::Rsqrt{}, std::move(x)); }

}  // namespace sinter
