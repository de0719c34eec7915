#include "leaky_relu.h"

namespace sinter::nn {

LeakyReLU::LeakyReLU(const LeakyReluAttributes& options) : attributes(ops::LeakyRelu(options).attributes) {}

Tensor LeakyReLU::forward(const Tensor& x) const { return leaky_relu(x, attributes); }

std::string LeakyReLU::title() const { return text("LeakyReLU(negative_slope=", attributes.negative_slope, ')'); }

}  // namespace sinter::nn
