#include "conv2d.h"

#include "../init.h"
#include "conv_options.h"

namespace sinter::nn {

Conv2d::Conv2d(Conv2dOptions o)
    : attributes{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  check_conv_options("Conv2d", o);
  const Pair kernel = o.kernel;
  weight = Parameter(Tensor::empty({o.out, kernel.h, kernel.w, o.in / o.groups}));
  init::kaiming_normal(weight, {.fan = init::Fan::out});
  if (o.bias) bias = Parameter(Tensor::zeros({o.out}));
}

Tensor Conv2d::forward(const Tensor& x) const { return conv2d(x, weight, bias, attributes); }

std::string Conv2d::title() const {
  const Shape& shape = weight.tensor().shape();
  std::string out =
      text("Conv2d(", shape[3] * attributes.groups, " -> ", shape[0], ", kernel=", Pair{shape[1], shape[2]});
  const ConvAttributes defaults;
  if (!(attributes.stride == defaults.stride)) out += text(", stride=", attributes.stride);
  if (!(attributes.padding == defaults.padding)) out += text(", padding=", attributes.padding);
  if (!(attributes.dilation == defaults.dilation)) out += text(", dilation=", attributes.dilation);
  if (attributes.groups != 1) out += text(", groups=", attributes.groups);
  if (!bias.defined()) out += ", bias=false";
  return out + ')';
}

}  // namespace sinter::nn
