#include "conv2d.h"

#include "../init.h"

namespace sinter::nn {

Conv2d::Conv2d(Conv2dOptions o)
    : attributes{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  const auto at_least = [](const char* what, const Pair& value, int64_t least) {
    check(value.h >= least && value.w >= least, "Conv2d: ", what, " is ", value, ", expected at least ", least);
  };
  const Pair kernel = o.kernel;
  at_least("kernel", kernel, 1);
  at_least("stride", o.stride, 1);
  at_least("padding", o.padding, 0);
  at_least("dilation", o.dilation, 1);
  check(o.in >= 1 && o.out >= 1, "Conv2d: it has ", o.in.value(), " input and ", o.out.value(),
        " output channels, expected at least 1 of each");
  check(o.groups >= 1 && o.in % o.groups == 0 && o.out % o.groups == 0, "Conv2d: ", o.groups, " groups do not divide ",
        o.in.value(), " input and ", o.out.value(), " output channels");
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
