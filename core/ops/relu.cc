#include "relu.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Relu::kernel() const { return {kernel::functions().relu}; }

Tensor relu(Tensor x) { return call(ops::Relu{}, std::move(x)); }

}  // namespace sinter
