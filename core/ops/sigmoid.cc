#include "sigmoid.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Sigmoid::kernel() const { return {kernel::functions().sigmoid}; }

Tensor sigmoid(Tensor x) { return call(ops::Sigmoid{}, std::move(x)); }

}  // namespace sinter
