#include "relu6.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Relu6::kernel() const { return {kernel::functions().relu6}; }

Tensor relu6(Tensor x) { return call(ops::Relu6{}, std::move(x)); }

}  // namespace sinter
