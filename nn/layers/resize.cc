#include "resize.h"

namespace sinter::nn {

Resize::Resize(const ResizeAttributes& options) : attributes(ops::Resize(options).attributes) {}

Tensor Resize::forward(const Tensor& x) const { return resize(x, attributes); }

std::string Resize::title() const {
  std::string out = "Resize(";
  out += attributes.size == Pair{0} ? text("scale=", attributes.scale) : text("size=", attributes.size);
  out += ", mode=" + attributes.mode;
  if (attributes.align_corners) out += ", align_corners=true";
  return out + ')';
}

}  // namespace sinter::nn
