#include "fused_conv.h"

#include <algorithm>
#include <cmath>

#include "../core/gemm.h"
#include "../core/ops/broadcast.h"
#include "../core/ops/conv2d_geometry.h"
#include "../core/ops/conv_transpose2d.h"
#include "../core/ops/reduction.h"
#include "../core/parallel.h"
#include "integer/strided.h"

namespace sinter::quant {

namespace {

ConvAttributes conv_attributes(const FusedConvAttributes& a) {
  return {.stride = a.stride, .padding = a.padding, .dilation = a.dilation, .groups = a.groups};
}

// A transposed convolution's own padding as what its kernel pads spread(x) with.
Pair outer_padding(const FusedConvAttributes& a, const Shape& weight) {
  return {a.dilation.h * (weight[1] - 1) - a.padding.h, a.dilation.w * (weight[2] - 1) - a.padding.w};
}

// [N,...,K] as images [N...,1,1,K]: a linear layer, like any factors by channel, is a 1x1 convolution of them.
Shape image(const FusedConvAttributes& a, const Shape& shape) {
  if (!a.linear && shape.rank() == 4) return shape;
  return {shape.elements() / std::max<int64_t>(shape[-1], 1), 1, 1, shape[-1]};
}

bool is_spread(const FusedConvAttributes& a, const Shape& weight) {
  return a.transposed && !as_columns(a, weight) && !(a.stride == Pair{1});
}

Shape spread_shape(const FusedConvAttributes& a, const Shape& x, const Shape& weight) {
  if (!is_spread(a, weight)) return x;
  return {x[0], (x[1] - 1) * a.stride.h + 1 + a.output_padding.h, (x[2] - 1) * a.stride.w + 1 + a.output_padding.w,
          x[3]};
}

onednn::Convolution transposed_geometry(const FusedConvAttributes& a, const Shape& x, const Shape& weight,
                                        const Shape& y) {
  return ops::transposed_geometry(conv_attributes(a), x, weight, y);
}

}  // namespace

bool as_columns(const FusedConvAttributes& a, const Shape& weight) {
  return a.transposed && (a.groups == 1 || (a.groups == weight[0] && weight[3] == 1));
}

Tensor rotated(const Tensor& weight) {
  Tensor result = Tensor::empty(weight.shape(), weight.dtype());
  StridedCopy by{
      {weight.shape().begin(), weight.shape().end()}, strides_of(weight.shape()), strides_of(weight.shape())};
  for (const int axis : {1, 2}) {
    by.from += (weight.size(axis) - 1) * by.from_strides[axis];
    by.from_strides[axis] *= -1;
  }
  copy_strided(by, weight, result);
  return result;
}

Tensor spread(const FusedConvAttributes& a, const Tensor& x, const Shape& weight) {
  if (!is_spread(a, weight)) return x;
  Tensor result = Tensor::zeros(spread_shape(a, x.shape(), weight), x.dtype());
  StridedCopy by{{x.shape().begin(), x.shape().end()}, strides_of(x.shape()), strides_of(result.shape())};
  by.to_strides[1] *= a.stride.h;
  by.to_strides[2] *= a.stride.w;
  copy_strided(by, x, result);
  return result;
}

onednn::Convolution geometry(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  if (as_columns(a, weight)) return transposed_geometry(a, x, weight, y);
  ConvAttributes plain = conv_attributes(a);
  if (a.transposed) {
    plain.stride = 1;
    plain.padding = outer_padding(a, weight);
  }
  return ops::geometry(plain, image(a, spread_shape(a, x, weight)), image(a, weight), image(a, y));
}

Tensor data_gradient(const FusedConvAttributes& a, const Tensor& dv, const Tensor& weight, const Shape& x, bool keep) {
  Tensor dx = Tensor::empty(x);
  if (a.linear)
    onednn::gemm({.rows = x.elements() / weight.size(1), .columns = weight.size(1), .depth = weight.size(0)},
                 dv.data<float>(), weight.data<float>(), dx.mutable_data<float>());
  else if (a.transposed)
    onednn::convolution_forward_fast(transposed_geometry(a, x, weight.shape(), dv.shape()), dv, rotated(weight), dx,
                                     false);
  else
    onednn::convolution_backward_data(geometry(a, x, weight.shape(), dv.shape()), dv, weight, dx, keep);
  return dx;
}

void weight_gradient(const FusedConvAttributes& a, const Tensor& x, const Tensor& dv, Tensor& dweight, Tensor& dbias) {
  if (a.linear) {
    onednn::gemm({.rows = dv.size(-1), .columns = x.size(-1), .depth = x.elements() / x.size(-1), .transpose_a = true},
                 dv.data<float>(), x.data<float>(), dweight.mutable_data<float>());
    dbias = ops::sum_to(dv, dbias.shape());
  } else if (a.transposed) {
    Tensor turned = Tensor::empty(dweight.shape()), none;
    onednn::convolution_backward_weights(transposed_geometry(a, x.shape(), dweight.shape(), dv.shape()), dv, x, turned,
                                         none);
    dweight = rotated(turned);
    dbias = ops::sum_to(dv, dbias.shape());
  } else {
    onednn::convolution_backward_weights(geometry(a, x.shape(), dweight.shape(), dv.shape()), x, dv, dweight, dbias);
  }
}

int64_t convolution_macs(const FusedConvAttributes& a, const Shape& x, const Shape& weight, const Shape& y) {
  const int64_t kernel = weight.elements() / weight[0];
  return a.transposed ? x.elements() / a.groups * (kernel / weight[3]) * weight[0] : y.elements() * kernel;
}

const FusedConv* fused_conv(const Node& node) { return dynamic_cast<const FusedConv*>(node.op.get()); }

bool same_weights(const Node& a, const Node& b) {
  const FusedConv *one = fused_conv(a), *other = fused_conv(b);
  if (one == nullptr || other == nullptr || !(a.inputs[1] == b.inputs[1])) return false;
  const FusedConvAttributes &x = one->attributes, &y = other->attributes;
  if (!x.batch_norm || !y.batch_norm) return x.batch_norm == y.batch_norm;
  return a.inputs[3] == b.inputs[3] && a.inputs[6] == b.inputs[6] && x.eps == y.eps;
}

const Node* other_reader(const Graph& graph, const Node& node, const Operand& parameter) {
  for (const Node& other : graph.nodes)
    if (&other != &node && std::find(other.inputs.begin(), other.inputs.end(), parameter) != other.inputs.end())
      return &other;
  return nullptr;
}

const Operand* skip_of(const Node& node) {
  const FusedConv* conv = fused_conv(node);
  return conv != nullptr && node.inputs.size() > conv->skip_at() ? &node.inputs.back() : nullptr;
}

namespace {

// gamma / sqrt(var + eps) of each channel.
std::vector<double> factors(const Tensor& gamma, const Tensor& var, double eps) {
  std::vector<double> result;
  const auto g = gamma.values<float>(), v = var.values<float>();
  for (size_t o = 0; o < g.size(); ++o)
    result.push_back(static_cast<double>(g[o]) / std::sqrt(static_cast<double>(v[o]) + eps));
  return result;
}

}  // namespace

Folded fold_batch_norm(const Tensor& weight, const Tensor& bias, const Tensor& gamma, const Tensor& beta,
                       const Tensor& mean, const Tensor& var, double eps) {
  Folded result{Tensor::empty(weight.shape()), Tensor::empty(bias.shape())};
  for (const float v : var.values<float>())
    check(v >= 0, "batch normalisation: running_var has ", v, ", expected 0 or more");
  const std::vector<double> scale = factors(gamma, var, eps);
  const float *w = weight.data<float>(), *b = bias.data<float>(), *shift = beta.data<float>();
  const float* centre = mean.data<float>();
  float *to = result.weight.mutable_data<float>(), *to_bias = result.bias.mutable_data<float>();
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t i = o * each; i < (o + 1) * each; ++i) to[i] = static_cast<float>(w[i] * scale[o]);
    to_bias[o] = static_cast<float>(shift[o] + (static_cast<double>(b[o]) - centre[o]) * scale[o]);
  }
  return result;
}

void check_folded(const char* what, const Graph& graph) {
  for (const Node& node : graph.nodes)
    if (const FusedConv* conv = fused_conv(node))
      check(!conv->attributes.batch_norm, what, ": the batch normalisation of ", node.name,
            " is not folded; prepare the model with batch_norm = \"fuse_bn\"");
}

Folded folded_weights(const Graph& graph, const Node& node) {
  const auto parameter = [&](size_t i) -> const Tensor& { return graph.parameters[node.inputs[i].index].value; };
  const FusedConvAttributes& a = fused_conv(node)->attributes;
  if (!a.batch_norm) return {parameter(1), parameter(2)};
  return fold_batch_norm(parameter(1), parameter(2), parameter(3), parameter(4), parameter(5), parameter(6), a.eps);
}

void FoldBatchNorm::forward(Inputs x, Outputs y, Context& context) const {
  const Folded folded = fold_batch_norm(x[0], x[1], x[2], x[3], x[4], x[5], eps);
  y[0].copy_from(folded.weight);
  y[1].copy_from(folded.bias);
  for (const size_t i : {0, 1, 2, 4, 5}) context.keep(x[i]);
}

void FoldBatchNorm::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor weight = context.kept(0), bias = context.kept(1), gamma = context.kept(2), mean = context.kept(3),
               var = context.kept(4);
  const std::vector<double> scale = factors(gamma, var, eps);
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const float *w = weight.data<float>(), *g = dy[0].data<float>(), *gb = dy[1].data<float>();
  Tensor dweight = Tensor::empty(weight.shape()), dbias = Tensor::empty(bias.shape()),
         dgamma = Tensor::empty(bias.shape());
  float *to = dweight.mutable_data<float>(), *to_bias = dbias.mutable_data<float>();
  float* to_gamma = dgamma.mutable_data<float>();
  for (int64_t o = 0; o < outputs; ++o) {
    double sum = static_cast<double>(gb[o]) *
                 (static_cast<double>(bias.data<float>()[o]) - static_cast<double>(mean.data<float>()[o]));
    for (int64_t i = o * each; i < (o + 1) * each; ++i) {
      to[i] = static_cast<float>(g[i] * scale[o]);
      sum += static_cast<double>(g[i]) * static_cast<double>(w[i]);
    }
    to_bias[o] = static_cast<float>(gb[o] * scale[o]);
    to_gamma[o] = static_cast<float>(sum / std::sqrt(static_cast<double>(var.data<float>()[o]) + eps));
  }
  if (dx.wanted(0)) dx.set(0, dweight);
  if (dx.wanted(1)) dx.set(1, dbias);
  if (dx.wanted(2)) dx.set(2, dgamma);
  if (dx.wanted(3)) dx.set(3, std::move(dy[1]));
}

std::vector<Field> FusedConv::fields() const {
  std::vector<Field> all = OpWith::fields();
  if (!attributes.frozen) all.pop_back();
  return all;
}

Specs FusedConv::infer(std::span<const Spec> x) const {
  check(x.size() == skip_at() || x.size() == skip_at() + 1, name(), " (fused): got ", x.size(),
        " inputs, expected x, weight, bias, batch normalisation, skip");
  if (attributes.linear)
    check(x[0].shape.rank() >= 2 && x[1].shape.rank() == 2, name(), " (fused): input is ", x[0].shape, ", weight is ",
          x[1].shape, ", expected [N,...,K] and [O,K]");
  Shape y;
  if (attributes.transposed) {
    y = ops::ConvTranspose2d{{.stride = attributes.stride,
                              .padding = attributes.padding,
                              .output_padding = attributes.output_padding,
                              .dilation = attributes.dilation,
                              .groups = attributes.groups}}
            .infer(x.first(3))[0]
            .shape;
    const Pair outer = outer_padding(attributes, x[1].shape);
    check(outer.h >= 0 && outer.w >= 0, name(), " (fused): padding is ", attributes.padding,
          ", more than its kernel reaches");
  } else {
    y = ops::conv2d_shape(name(), conv_attributes(attributes), image(attributes, x[0].shape),
                          image(attributes, x[1].shape), &x[2].shape);
    if (attributes.linear || x[0].shape.rank() != 4) y = x[0].shape.with(-1, y[3]);
  }
  if (x.size() > skip_at())
    check(x.back().shape == y, name(), " (fused): the tensor to add is ", x.back().shape, ", expected ", y);
  return {{DType::float32, y}};
}

void FusedConv::convolve(const Tensor& x, const Folded& by, Tensor& y) const {
  const FusedConvAttributes& a = attributes;
  if (a.linear)
    onednn::gemm({.rows = y.elements() / y.size(-1), .columns = y.size(-1), .depth = x.size(-1), .transpose_b = true},
                 x.data<float>(), by.weight.data<float>(), y.mutable_data<float>());
  else if (a.transposed)
    onednn::convolution_backward_data(transposed_geometry(a, x.shape(), by.weight.shape(), y.shape()), x,
                                      rotated(by.weight), y, false);
  else
    return onednn::convolution_forward(geometry(a, x.shape(), by.weight.shape(), y.shape()), x, by.weight, by.bias, y,
                                       !a.batch_norm);
  ops::broadcast_map(y, by.bias, y, [](float v, float b) { return v + b; });
}

void FusedConv::forward(Inputs x, Outputs y, Context& context) const {
  Folded folded{x[1], x[2]};
  if (attributes.batch_norm) folded = fold_batch_norm(x[1], x[2], x[3], x[4], x[5], x[6], attributes.eps);
  context.keep(x[0]);
  context.keep(folded.weight);
  if (y[0].elements() > 0) convolve(x[0], folded, y[0]);
  float* out = y[0].mutable_data<float>();
  const float* skip = x.size() > skip_at() ? x.back().data<float>() : nullptr;
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
  check(!attributes.batch_norm, name(), " (fused): its batch normalisation is folded before it is trained");
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
  if (dx.wanted(1) || dx.wanted(2)) {
    Tensor dweight = Tensor::empty(weight.shape()), dbias = Tensor::empty({weight.size(0)});
    weight_gradient(attributes, x, dv, dweight, dbias);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (dx.wanted(0)) dx.set(0, data_gradient(attributes, dv, weight, x.shape()));
  if (dx.size() == 4 && dx.wanted(3)) dx.set(3, std::move(dv));
}

int64_t FusedConv::macs(std::span<const Spec> x) const {
  return convolution_macs(attributes, x[0].shape, x[1].shape, infer(x)[0].shape);
}

}  // namespace sinter::quant
