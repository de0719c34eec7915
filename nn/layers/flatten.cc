#include "flatten.h"

namespace sinter::nn {

Tensor Flatten::forward(const Tensor& x) const { return flatten(x, attributes.start_axis); }

std::string Flatten::title() const {
  return attributes.start_axis == 1 ? "Flatten" : text("Flatten(start_axis=", attributes.start_axis, ')');
}

}  // namespace sinter::nn
