#include "conv.h"

#include <algorithm>
#include <optional>

#include "../../core/convolution_slices.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/parallel.h"
#include "../integer/conv.h"

namespace sinter::quant {

namespace {

Specs real_specs(std::span<const Spec> inputs, bool adds) {
  Specs specs(inputs.begin(), inputs.begin() + (adds ? 4 : 3));
  for (Spec& spec : specs) spec.dtype = DType::float32;
  return specs;
}

Tensor by_channel(const Tensor& weight, const std::vector<float>& factors, bool divide) {
  Tensor result = Tensor::empty(weight.shape());
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const float* w = weight.data<float>();
  float* out = result.mutable_data<float>();
  for (int64_t o = 0; o < outputs; ++o) {
    const float factor = divide ? 1 / factors[o] : factors[o];
    for (int64_t i = o * each; i < (o + 1) * each; ++i) out[i] = w[i] * factor;
  }
  return result;
}

// The values that integer weights [O,...] stand for.
Tensor real_weights(const Tensor& weight, const Tensor& scales) {
  Tensor result = Tensor::empty(weight.shape());
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const auto* q = weight.data<int8_t>();
  const float* s = scales.data<float>();
  float* out = result.mutable_data<float>();
  parallel_for(outputs, std::max<int64_t>(1, (1 << 14) / each), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t i = o * each; i < (o + 1) * each; ++i) out[i] = static_cast<float>(q[i]) * s[o];
  });
  return result;
}

// The gradient of the learned numbers [O] from that of the quantised weights, for the scales that were used.
Tensor learned_gradient(const Learning& learning, const Tensor& weight, const std::vector<float>& scales,
                        Rounding rounding, const Tensor& dweight) {
  const int64_t outputs = weight.size(0), each = weight.elements() / outputs;
  const double factor = learning.by->gradient_scale(each, learning.bounds);
  const float *w = weight.data<float>(), *g = dweight.data<float>();
  Tensor result = Tensor::empty({outputs});
  float* out = result.mutable_data<float>();
  parallel_for(outputs, std::max<int64_t>(1, (1 << 13) / each), [&](int64_t begin, int64_t end) {
    std::vector<float> v(each), slopes(each);
    for (int64_t o = begin; o < end; ++o) {
      const float inverse = 1.0f / scales[o];
      for (int64_t i = 0; i < each; ++i) v[i] = w[o * each + i] * inverse;
      learning.by->slopes(v.data(), each, learning.bounds, rounding, slopes.data());
      double sum = 0;
      for (int64_t i = 0; i < each; ++i) sum += static_cast<double>(g[o * each + i]) * static_cast<double>(slopes[i]);
      out[o] = static_cast<float>(factor * sum);
    }
  });
  return result;
}

}  // namespace

std::vector<double> accumulator_units(const std::vector<float>& weight_scales, float x_scale) {
  std::vector<double> units;
  for (const float scale : weight_scales) units.push_back(static_cast<double>(x_scale) * scale);
  return units;
}

Specs QuantizedConv::infer(std::span<const Spec> inputs) const {
  check(inputs[0].dtype == x.dtype, name(), ": input is ", inputs[0], ", expected ", x.dtype);
  const Specs y = FusedConv(conv).infer(real_specs(inputs, adds));
  return {{output == nullptr ? DType::float32 : output->dtype(), y[0].shape}};
}

int64_t QuantizedConv::macs(std::span<const Spec> inputs) const {
  return FusedConv(conv).macs(real_specs(inputs, adds));
}

void QuantizedConv::forward(Inputs inputs, Outputs y, Context& context) const {
  const Tensor weight = factors.empty() ? inputs[1] : by_channel(inputs[1], factors, false);
  const Tensor bias = factors.empty() ? inputs[2] : Tensor::zeros(inputs[2].shape());
  if (pass->training) weights->train(weight);
  const QuantizedWeights quantized = weights->quantize(*pass->march, weight, bias, x.scale, adds ? &skip : nullptr);
  const auto geometry_here = geometry(conv, inputs[0].shape(), weight.shape(), y[0].shape());
  const IntegerWeights integers = integer_weights(quantized.values, x, false, node.c_str());
  Tensor acc = Tensor::empty(y[0].shape(), DType::int32);
  integer_convolution(geometry_here, spread(conv, inputs[0]), x, integers, acc);

  // What an integer of a weight stands for.
  std::vector<float> scales = quantized.scales;
  for (size_t o = 0; o < factors.size(); ++o) scales[o] /= factors[o];
  const auto channels = static_cast<int64_t>(scales.size());
  context.keep(inputs[0]);
  context.keep(quantized.values);
  if (context.recording()) context.keep(Tensor::from<float>({channels}, scales));
  if (output != nullptr) {
    quantize_output(node, *pass,
                    {.acc = acc,
                     .bias = quantized.bias,
                     .unit = accumulator_units(quantized.scales, x.scale),
                     .skip = adds ? inputs[3] : Tensor(),
                     .skip_grid = skip,
                     .activation = activation_named(conv.activation)},
                    *output, y[0], context);
  } else {
    const auto* sums = acc.data<int32_t>();
    const float* added = inputs[2].data<float>();
    float* out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      const int64_t o = i % channels;
      out[i] = factors.empty() ? dequantize(sums[i] + quantized.bias[o], x.scale, scales[o])
                               : dequantize(sums[i], x.scale, scales[o]) + added[o];
    }
  }
  if (weights_learning) {
    context.keep(weight);
    if (context.recording()) context.keep(Tensor::from<float>({channels}, quantized.scales));
  }
  if (quantized.mask.defined()) context.keep(quantized.mask);
}

void QuantizedConv::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const Tensor qx = spread(conv, context.kept(0)), qw = context.kept(1), scales = context.kept(2);
  size_t next = 3;  // of what is kept where it is there
  const Tensor mask = output == nullptr ? Tensor() : context.kept(next++);
  size_t input = adds ? 4 : 3;
  if (output_learning) {
    if (dx.wanted(input)) dx.set(input, learned_gradient(context, next, output_learning, dy[0]));
    ++next;
    ++input;
  }
  const bool learning = weights_learning && dx.wanted(input);
  const bool wants_weight = dx.wanted(1) || dx.wanted(2) || learning, skips = adds && dx.wanted(3);
  const Shape& x_shape = context.input(0).shape;
  const auto c = geometry(conv, x_shape, qw.shape(), dy[0].shape());
  using Slices = onednn::ConvolutionSlices;
  const Tensor w = dx.wanted(0) ? real_weights(qw, scales) : Tensor();
  std::optional<const Slices> data;
  if (dx.wanted(0)) data.emplace(onednn::Kind::backward_data, c, w, Slices::Options{.keep = false});
  Slices weight_slices(onednn::Kind::backward_weights, c, qw, {.bias = true});

  // Slice by slice, so that the masked gradient and the float copy of the integers stay in cache.
  const int64_t image_rows = c.out_height * c.out_width;
  const auto* in = qx.dtype() == DType::int8 ? qx.data<int8_t>() : nullptr;
  const auto* words = qx.dtype() == DType::int16 ? qx.data<int16_t>() : nullptr;
  const float* g = dy[0].data<float>();
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  Tensor dspread = dx.wanted(0) ? Tensor::empty(qx.shape()) : Tensor();
  float* to = dx.wanted(0) ? dspread.mutable_data<float>() : nullptr;
  const auto& kernels = kernel::elementwise_kernels();
  weight_slices.for_each([&](int64_t slice, int64_t image) {
    const int64_t images = weight_slices.images(slice);
    Tensor masked_here, real;
    const float* dv = g + image * c.out_image();
    if (mask.defined()) {
      if (!skips) masked_here = Tensor::empty({images * c.out_image()});
      float* out = skips ? to_skip + image * c.out_image() : masked_here.mutable_data<float>();
      masked(mask, image * image_rows, (image + images) * image_rows, c.out, dv, out);
      dv = out;
    }
    if (wants_weight) {
      real = Tensor::empty({images * c.image()});
      float* values = real.mutable_data<float>();
      if (words == nullptr)
        kernels.widen(in + image * c.image(), images * c.image(), values);
      else
        std::copy_n(words + image * c.image(), images * c.image(), values);
      weight_slices.backward_weights(slice, values, dv);
    }
    if (to != nullptr) data->backward_data(slice, dv, to + image * c.image());
  });
  if (wants_weight) {
    // The gradient is that of the integers; their scale comes after, on the few weights.
    Tensor dweight = Tensor::empty(qw.shape()), dbias = Tensor::empty({c.out});
    weight_slices.finish(dweight, dbias);
    float* out = dweight.mutable_data<float>();
    parallel_for(dweight.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] *= x.scale;
    });
    if (weights_learning) {
      const auto used = context.kept(next + 1).values<float>();
      if (learning)
        dx.set(input, learned_gradient(weights_learning, context.kept(next), {used.begin(), used.end()}, rounding,
                                       factors.empty() ? dweight : by_channel(dweight, factors, true)));
      next += 2;
    }
    if (context.kept_count() > next) dweight = through_mask(context, next, dweight);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (skips) dx.set(3, std::move(dskip));
  if (dx.wanted(0)) dx.set(0, gathered(conv, dspread, x_shape));
}

}  // namespace sinter::quant
