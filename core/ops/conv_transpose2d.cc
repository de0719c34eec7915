#include "conv_transpose2d.h"

#include "../onednn.h"
#include "broadcast.h"
#include "conv2d_geometry.h"
#include "reduction.h"

namespace sinter::ops {

namespace {

constexpr const char* kName = "conv_transpose2d";

int64_t output_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t added, int64_t dilation) {
  return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + added + 1;
}

// Of the convolution from y to x whose gradient this is.
ConvAttributes mirror(const ConvTransposeAttributes& a) {
  return {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups};
}

Shape output_shape(const ConvTransposeAttributes& a, const Shape& x, const Shape& weight) {
  check_convolution(kName, mirror(a), x, weight);
  const Pair added = a.output_padding;
  check(added.h >= 0 && added.w >= 0 && added.h < a.stride.h && added.w < a.stride.w, kName, ": output_padding is ",
        added, ", expected 0 or more and less than the stride ", a.stride);
  check(x[1] >= 1 && x[2] >= 1, kName, ": input is ", x, ", expected at least one pixel");
  const int64_t oh = output_size(x[1], weight[1], a.stride.h, a.padding.h, added.h, a.dilation.h);
  const int64_t ow = output_size(x[2], weight[2], a.stride.w, a.padding.w, added.w, a.dilation.w);
  check(oh >= 1 && ow >= 1, kName, ": of input ", x, " with the kernel ", weight[1], "x", weight[2], ", padding ",
        a.padding, " leaves nothing");
  return {x[0], oh, ow, weight[0]};
}

onednn::Convolution mirrored(const ConvTransposeAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  return transposed_geometry(mirror(a), x, weight, y);
}

}  // namespace

Specs ConvTranspose2d::infer(std::span<const Spec> x) const {
  check(x.size() == 2 || x.size() == 3, kName, ": got ", x.size(), " inputs, expected input, weight and perhaps bias");
  expect_float(kName, x, x.size());
  const Shape y = output_shape(attributes, x[0].shape, x[1].shape);
  if (x.size() == 3) check(x[2].shape == Shape{y[3]}, kName, ": bias is ", x[2].shape, ", expected [", y[3], "]");
  return {{DType::float32, y}};
}

void ConvTranspose2d::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  if (y[0].elements() == 0) return;
  onednn::convolution_backward_data(mirrored(attributes, x[0].shape(), x[1].shape(), y[0].shape()), x[0], x[1], y[0]);
  if (x.size() == 3) broadcast_map(y[0], x[2], y[0], [](float v, float b) { return v + b; });
}

void ConvTranspose2d::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor x = context.kept(0), weight = context.kept(1);
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const auto c = mirrored(attributes, x.shape(), weight.shape(), dy[0].shape());
  if (dx.wanted(0)) onednn::convolution_forward_fast(c, dy[0], weight, dx.create(0));
  if (dx.wanted(1)) {
    Tensor none;
    onednn::convolution_backward_weights(c, dy[0], x, dx.create(1), none);
  }
  if (dx.size() == 3 && dx.wanted(2)) dx.set(2, sum_to(dy[0], {c.in}));
}

int64_t ConvTranspose2d::macs(std::span<const Spec> x) const {
  const Shape& weight = x[1].shape;
  return x[0].shape.elements() * weight[1] * weight[2] * weight[0] / attributes.groups;
}

}  // namespace sinter::ops

sinter::Tensor sinter::conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                        const ConvTransposeAttributes& attributes) {
  if (bias.defined()) return call(ops::ConvTranspose2d{attributes}, x, weight, bias);
  return call(ops::ConvTranspose2d{attributes}, x, weight);
}
