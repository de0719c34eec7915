#include "tanh.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Tanh::kernel() const { return {kernel::functions().tanh}; }

double ops::Tanh::at(double x) const { return std::tanh(x); }

Tensor tanh(Tensor x) { return call(ops::Tanh{}, std::move(x)); }

}  // namespace sinter
