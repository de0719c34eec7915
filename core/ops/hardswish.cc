#include "hardswish.h"

#include <algorithm>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Hardswish::kernel() const { return {kernel::functions().hardswish}; }

double ops::Hardswish::at(double x) const { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }

Tensor hardswish(const Tensor& x) { return call(ops::Hardswish{}, x); }

}  // namespace sinter
