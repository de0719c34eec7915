#include "log.h"

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Log::kernel() const { return {kernel::functions().log}; }

Tensor log(const Tensor& x) { return call(ops::Log{}, x); }

}  // namespace sinter
