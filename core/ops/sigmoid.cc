#include "sigmoid.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Sigmoid::kernel() const { return {kernel::functions().sigmoid}; }

double ops::Sigmoid::at(double x) const { return 1 / (1 + std::exp(-x)); }

Tensor sigmoid(Tensor x) { return call(ops::Sigmoid{}, std::move(x)); }

}  // namespace sinter
