#include "max_pool2d.h"

namespace sinter::nn {

MaxPool2d::MaxPool2d(const MaxPoolAttributes& options) : attributes(ops::MaxPool2d(options).attributes) {}

Tensor MaxPool2d::forward(const Tensor& x) const { return max_pool2d(x, attributes); }

std::string MaxPool2d::title() const {
  const Pair kernel = attributes.kernel;
  std::string out = text("MaxPool2d(kernel=", kernel);
  if (!(attributes.stride == kernel)) out += text(", stride=", attributes.stride);
  if (!(attributes.padding == Pair{0})) out += text(", padding=", attributes.padding);
  if (!(attributes.dilation == Pair{1})) out += text(", dilation=", attributes.dilation);
  if (attributes.ceil_mode) out += ", ceil_mode=true";
  return out + ')';
}

}  // namespace sinter::nn
