#include "relu.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Relu::kernel() const { return {kernel::functions().relu}; }

double ops::Relu::at(double x) const { return x < 0 ? 0 : x; }

Tensor relu(Tensor x) { return call(ops::Relu{}, std::move(x)); }

}  // namespace sinter
