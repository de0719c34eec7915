#include "exp.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Exp::kernel() const { return {kernel::functions().exp}; }

Tensor exp(Tensor x) { return call(ops::Exp{}, std::move(x)); }

}  // namespace sinter
