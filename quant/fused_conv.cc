#include "fused_conv.h"

#include "../core/ops/conv2d_geometry.h"
#include "../core/parallel.h"

namespace sinter::quant {

namespace {

ConvAttributes conv_attributes(const FusedConvAttributes& a) {
  return {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups};
}

// [N,K] as an image [N,1,1,K]: a linear layer is a 1x1 convolution.
Shape image(const Shape& shape) { return shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]}; }

}  // namespace

onednn::Convolution geometry(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  return ops::geometry(conv_attributes(a), image(x), image(weight), image(y));
}

Specs FusedConv::infer(std::span<const Spec> x) const {
  check(x.size() == 3 || x.size() == 4, name(), " (fused): got ", x.size(), " inputs, expected x, weight, bias, skip");
  if (attributes.linear)
    check(x[0].shape.rank() == 2 && x[1].shape.rank() == 2, name(), " (fused): input is ", x[0].shape, ", weight is ",
          x[1].shape, ", expected [N,K] and [O,K]");
  Shape y = ops::conv2d_shape(name(), conv_attributes(attributes), image(x[0].shape), image(x[1].shape), &x[2].shape);
  if (attributes.linear) y = Shape{y[0], y[3]};
  if (x.size() == 4) check(x[3].shape == y, name(), " (fused): the tensor to add is ", x[3].shape, ", expected ", y);
  return {{DType::float32, y}};
}

void FusedConv::forward(Inputs x, Outputs y, Context& context) const {
  context.keep(x[0]);
  context.keep(x[1]);
  if (y[0].elements() > 0)
    onednn::convolution_forward(geometry(attributes, x[0].shape(), x[1].shape(), y[0].shape()), x[0], x[1], x[2], y[0]);
  float* out = y[0].mutable_data<float>();
  const float* skip = x.size() == 4 ? x[3].data<float>() : nullptr;
  const Activation kind = activation();
  if (skip != nullptr || kind != Activation::none)
    parallel_for(y[0].elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      if (skip != nullptr)
        for (int64_t i = begin; i < end; ++i) out[i] += skip[i];
      if (kind != Activation::none)
        for (int64_t i = begin; i < end; ++i) out[i] = out[i] < 0 ? 0 : out[i];
      if (kind == Activation::relu6)
        for (int64_t i = begin; i < end; ++i) out[i] = out[i] > 6 ? 6 : out[i];
    });
  context.keep(y[0]);
}

void FusedConv::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const Tensor x = context.kept(0), weight = context.kept(1), y = context.kept(2);
  const Activation kind = activation();
  Tensor dv = dy[0];
  if (kind != Activation::none) {
    dv = reuse_or_empty(dy[0]);
    const float *out = y.data<float>(), *g = dy[0].data<float>();
    const float top = ceiling(kind);
    float* to = dv.mutable_data<float>();
    parallel_for(y.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = out[i] > 0 && out[i] < top ? g[i] : 0;
    });
  }
  const auto c = geometry(attributes, x.shape(), weight.shape(), y.shape());
  if (dx.wanted(1) || dx.wanted(2)) {
    Tensor dweight = Tensor::empty(weight.shape()), dbias = Tensor::empty({c.out});
    onednn::convolution_backward_weights(c, x, dv, dweight, dbias);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (dx.wanted(0)) onednn::convolution_backward_data(c, dv, weight, dx.create(0));
  if (dx.size() == 4 && dx.wanted(3)) dx.set(3, std::move(dv));
}

int64_t FusedConv::macs(std::span<const Spec> x) const {
  return infer(x)[0].shape.elements() * (x[1].shape.elements() / x[1].shape[0]);
}

}  // namespace sinter::quant
