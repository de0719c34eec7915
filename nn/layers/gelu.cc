#include "gelu.h"

namespace sinter::nn {

GELU::GELU(const GeluAttributes& options) : attributes(ops::Gelu(options).attributes) {}

Tensor GELU::forward(const Tensor& x) const { return gelu(x, attributes); }

std::string GELU::title() const {
  return attributes.approximate == "none" ? "GELU" : text("GELU(approximate=", attributes.approximate, ")");
}

}  // namespace sinter::nn
