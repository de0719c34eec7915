#include "linear.h"

#include <cmath>

#include "../../core/ops/linear.h"
#include "../init.h"

namespace sinter::nn {

Linear::Linear(LinearOptions o) {
  check(o.in >= 1 && o.out >= 1, "Linear: it has ", o.in.value(), " inputs and ", o.out.value(),
        " outputs, expected at least 1 of each");
  const double bound = 1 / std::sqrt(static_cast<double>(o.in));
  weight = Parameter(Tensor::empty({o.out, o.in}));
  init::uniform(weight, bound);
  if (!o.bias) return;
  bias = Parameter(Tensor::empty({o.out}));
  init::uniform(bias, bound);
}

Tensor Linear::forward(const Tensor& x) const { return linear(x, weight, bias); }

std::string Linear::title() const {
  const Shape& shape = weight.tensor().shape();
  return text("Linear(", shape[1], " -> ", shape[0], bias.defined() ? ")" : ", bias=false)");
}

}  // namespace sinter::nn
