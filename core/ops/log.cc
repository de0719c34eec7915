#include "log.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Log::kernel() const { return {kernel::functions().log}; }

double ops::Log::at(double x) const { return std::log(x); }

Tensor log(const Tensor& x) { return call(ops::Log{}, x); }

}  // namespace sinter
