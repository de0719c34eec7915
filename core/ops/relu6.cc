#include "relu6.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Relu6::kernel() const { return {kernel::functions().relu6}; }

double ops::Relu6::at(double x) const { return x < 0 ? 0 : x > 6 ? 6 : x; }

Tensor relu6(Tensor x) { return call(ops::Relu6{}, std::move(x)); }

}  // namespace sinter
