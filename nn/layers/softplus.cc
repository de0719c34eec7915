#include "softplus.h"

namespace sinter::nn {

Softplus::Softplus(const SoftplusAttributes& options) : attributes(ops::Softplus(options).attributes) {}

Tensor Softplus::forward(const Tensor& x) const { return softplus(x, attributes); }

std::string Softplus::title() const { return text("Softplus(beta=", attributes.beta, ")"); }

}  // namespace sinter::nn
