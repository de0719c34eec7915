#include "softsign.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Softsign::kernel() const { return {kernel::functions().softsign}; }

double ops::Softsign::at(double x) const { return x / (1 + std::abs(x)); }

Tensor softsign(const Tensor& x) { return call(ops::Softsign{}, x); }

}  // namespace sinter
