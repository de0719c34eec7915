#include "mish.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Mish::kernel() const { return {kernel::functions().mish}; }

double ops::Mish::at(double x) const { return x * std::tanh(std::log1p(std::exp(x))); }

Tensor mish(const Tensor& x) { return call(ops::Mish{}, x); }

}  // namespace sinter
