#include "prelu.h"

#include "../../core/ops/prelu.h"

namespace sinter::nn {

PReLU::PReLU(PReLUOptions o) {
  check(o.channels >= 1, "PReLU: it has ", o.channels, " channels, expected at least 1");
  weight = Parameter(Tensor::full({o.channels}, o.start));
}

Tensor PReLU::forward(const Tensor& x) const { return prelu(x, weight); }

std::string PReLU::title() const { return text("PReLU(", weight.tensor().elements(), ')'); }

}  // namespace sinter::nn
