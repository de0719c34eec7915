#include "exp.h"

#include <cmath>

#include "../kernel/functions.h"

namespace sinter {

ops::UnaryKernel ops::Exp::kernel() const { return {kernel::functions().exp}; }

double ops::Exp::at(double x) const { return std::exp(x); }

Tensor exp(Tensor x) { return call(ops::Exp{}, std::move(x)); }

}  // namespace sinter
