#include "softmax.h"

namespace sinter::nn {

Tensor Softmax::forward(const Tensor& x) const { return softmax(x, attributes.axis); }

std::string Softmax::title() const {
  return attributes.axis == -1 ? "Softmax" : text("Softmax(axis=", attributes.axis, ')');
}

}  // namespace sinter::nn
