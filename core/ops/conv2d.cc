#include "conv2d.h"

#include "../onednn.h"
#include "channels_last.h"
#include "conv2d_geometry.h"
#include "elementwise.h"

namespace sinter::ops {

namespace {
// What the shapes look like where they do not fit.
std::string order_hint(const Shape& x, const Shape& weight, int64_t groups) {
  if (std::string hint = nchw_hint(x, weight[3] * groups); !hint.empty() || x[3] == weight[3] * groups) return hint;
  if (x[3] == weight[1] * groups) return "; is the weight [O,I,KH,KW]? It is [O,KH,KW,I] here";
  if (x[1] == weight[1] * groups)
    return "; are input and weight [N,C,H,W] and [O,I,KH,KW]? They are [N,H,W,C] and [O,KH,KW,I] here";
  return "";
}
}  // namespace

void check_convolution(std::string_view op, const ConvAttributes& a, const Shape& x, const Shape& weight) {
  check(x.rank() == 4, op, ": input is ", x, ", expected [N,H,W,C]");
  check(weight.rank() == 4, op, ": weight is ", weight, ", expected [O,KH,KW,I] (OHWI)");
  check(a.stride.h >= 1 && a.stride.w >= 1, op, ": stride is ", a.stride, ", expected at least 1");
  check(a.dilation.h >= 1 && a.dilation.w >= 1, op, ": dilation is ", a.dilation, ", expected at least 1");
  check(a.padding.h >= 0 && a.padding.w >= 0, op, ": padding is ", a.padding, ", expected at least 0");
  check(a.groups >= 1, op, ": groups is ", a.groups, ", expected at least 1");
  const std::string hint = order_hint(x, weight, a.groups);
  check(x[3] % a.groups == 0 && weight[0] % a.groups == 0, op, ": ", a.groups, " groups do not divide ", x[3],
        " input channels and ", weight[0], " output channels", hint);
  check(weight[3] * a.groups == x[3], op, ": weight is ", weight, " (OHWI), input ", x, " (NHWC) has ", x[3],
        " channels, expected ", weight[3] * a.groups, a.groups > 1 ? text(" (", a.groups, " groups)") : std::string(),
        hint);
  check(weight.elements() > 0, op, ": weight is ", weight, ", expected no empty axis");
}

Shape conv2d_shape(std::string_view op, const ConvAttributes& a, const Shape& x, const Shape& weight,
                   const Shape* bias) {
  check_convolution(op, a, x, weight);
  if (bias != nullptr)
    check(bias->rank() == 1 && (*bias)[0] == weight[0], op, ": bias is ", *bias, ", expected [", weight[0], "]");
  const int64_t oh = window_output(x[1], weight[1], a.stride.h, a.padding.h, a.dilation.h, false);
  const int64_t ow = window_output(x[2], weight[2], a.stride.w, a.padding.w, a.dilation.w, false);
  check(oh >= 1 && ow >= 1, op, ": input ", x, " with padding ", a.padding, " is smaller than the kernel ", weight[1],
        "x", weight[2], " with dilation ", a.dilation);
  return {x[0], oh, ow, weight[0]};
}

onednn::Convolution geometry(const ConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  onednn::Convolution c;
  c.batch = x[0];
  c.height = x[1];
  c.width = x[2];
  c.in = x[3];
  c.out = weight[0];
  c.groups = a.groups;
  c.kernel_h = weight[1];
  c.kernel_w = weight[2];
  c.stride_h = a.stride.h;
  c.stride_w = a.stride.w;
  c.padding_h = a.padding.h;
  c.padding_w = a.padding.w;
  c.dilation_h = a.dilation.h;
  c.dilation_w = a.dilation.w;
  c.out_height = y[1];
  c.out_width = y[2];
  return c;
}

onednn::Convolution transposed_geometry(const ConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  onednn::Convolution c = geometry(a, y, weight, x);
  c.out = x[3];
  c.transposed_weight = true;
  return c;
}

Specs Conv2d::infer(std::span<const Spec> x) const {
  check(x.size() == 2 || x.size() == 3, "conv2d: got ", x.size(), " inputs, expected input, weight and perhaps bias");
  expect_float("conv2d", x, x.size());
  return {{DType::float32,
           conv2d_shape("conv2d", attributes, x[0].shape, x[1].shape, x.size() == 3 ? &x[2].shape : nullptr)}};
}

void Conv2d::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  if (y[0].elements() == 0) return;
  const auto c = geometry(attributes, x[0].shape(), x[1].shape(), y[0].shape());
  if (x.size() == 3)
    onednn::convolution_forward(c, x[0], x[1], x[2], y[0]);
  else
    onednn::convolution_forward_fast(c, x[0], x[1], y[0]);
}

void Conv2d::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  const bool has_bias = dx.size() == 3;
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const auto c = geometry(attributes, x.shape(), weight.shape(), dy[0].shape());
  const bool wants_bias = has_bias && dx.wanted(2);
  if (dx.wanted(1) || wants_bias) {
    Tensor dweight = Tensor::empty(weight.shape());
    Tensor dbias = wants_bias ? Tensor::empty({c.out}) : Tensor();
    onednn::convolution_backward_weights(c, x, dy[0], dweight, dbias);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (wants_bias) dx.set(2, dbias);
  }
  if (dx.wanted(0)) onednn::convolution_backward_data(c, dy[0], weight, dx.create(0));
}

int64_t Conv2d::macs(std::span<const Spec> x) const {
  return infer(x)[0].shape.elements() * x[1].shape.elements() / x[1].shape[0];
}

}  // namespace sinter::ops

sinter::Tensor sinter::conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                              const ConvAttributes& attributes) {
  if (bias.defined()) return call(ops::Conv2d{attributes}, x, weight, bias);
  return call(ops::Conv2d{attributes}, x, weight);
}
