#include "elu.h"

namespace sinter::nn {

ELU::ELU(const EluAttributes& options) : attributes(ops::Elu(options).attributes) {}

Tensor ELU::forward(const Tensor& x) const { return elu(x, attributes); }

std::string ELU::title() const { return text("ELU(alpha=", attributes.alpha, ")"); }

}  // namespace sinter::nn
