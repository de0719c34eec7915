#include "avg_pool2d.h"

namespace sinter::nn {

AvgPool2d::AvgPool2d(const AvgPoolAttributes& options) : attributes(ops::AvgPool2d(options).attributes) {}

Tensor AvgPool2d::forward(const Tensor& x) const { return avg_pool2d(x, attributes); }

std::string AvgPool2d::title() const {
  const Pair kernel = attributes.kernel;
  std::string out = text("AvgPool2d(kernel=", kernel);
  if (!(attributes.stride == kernel)) out += text(", stride=", attributes.stride);
  if (!(attributes.padding == Pair{0})) out += text(", padding=", attributes.padding);
  if (attributes.ceil_mode) out += ", ceil_mode=true";
  if (!attributes.count_include_pad) out += ", count_include_pad=false";
  return out + ')';
}

}  // namespace sinter::nn
