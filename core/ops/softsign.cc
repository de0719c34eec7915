#include "softsign.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Softsign::kernel() const { return {kernel::functions().softsign}; }

Tensor softsign(const Tensor& x) { return call(ops::Softsign{}, x); }

}  // namespace sinter
