#include "tanh.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Tanh::kernel() const { return {kernel::functions().tanh}; }

Tensor tanh(Tensor x) { return call(ops::Tanh{}, std::move(x)); }

}  // namespace sinter
