#include "conv_transpose2d.h"

#include "../init.h"
#include "conv_options.h"

namespace sinter::nn {

ConvTranspose2d::ConvTranspose2d(ConvTranspose2dOptions o)
    : attributes{.stride = o.stride,
                 .padding = o.padding,
                 .output_padding = o.output_padding,
                 .dilation = o.dilation,
                 .groups = o.groups} {
  check_conv_options("ConvTranspose2d", o);
  const Pair added = o.output_padding;
  check(added.h >= 0 && added.w >= 0 && added.h < o.stride.h && added.w < o.stride.w,
        "ConvTranspose2d: output_padding is ", added, ", expected 0 or more and less than the stride ", o.stride);
  const Pair kernel = o.kernel;
  weight = Parameter(Tensor::empty({o.out, kernel.h, kernel.w, o.in / o.groups}));
  init::kaiming_normal(weight, {.fan = init::Fan::out});
  if (o.bias) bias = Parameter(Tensor::zeros({o.out}));
}

Tensor ConvTranspose2d::forward(const Tensor& x) const { return conv_transpose2d(x, weight, bias, attributes); }

std::string ConvTranspose2d::title() const {
  const Shape& shape = weight.tensor().shape();
  std::string out =
      text("ConvTranspose2d(", shape[3] * attributes.groups, " -> ", shape[0], ", kernel=", Pair{shape[1], shape[2]});
  const ConvTransposeAttributes defaults;
  if (!(attributes.stride == defaults.stride)) out += text(", stride=", attributes.stride);
  if (!(attributes.padding == defaults.padding)) out += text(", padding=", attributes.padding);
  if (!(attributes.output_padding == defaults.output_padding))
    out += text(", output_padding=", attributes.output_padding);
  if (!(attributes.dilation == defaults.dilation)) out += text(", dilation=", attributes.dilation);
  if (attributes.groups != 1) out += text(", groups=", attributes.groups);
  if (!bias.defined()) out += ", bias=false";
  return out + ')';
}

}  // namespace sinter::nn
