#include "conv.h"

#include <algorithm>
#include <optional>

#include "../../core/convolution_slices.h"
#include "../../core/gemm.h"
#include "../../core/kernel/elementwise.h"
#include "../../core/ops/broadcast.h"
#include "../../core/parallel.h"
#include "../integer/conv.h"
#include "../integer/strided.h"
#include "../integer/values.h"

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

// The values that integer weights [O,...] stand for, of some of their output channels.
Tensor real_weights(const Tensor& weight, const Tensor& scales, int64_t first, int64_t count) {
  Tensor result = Tensor::empty(weight.shape().with(0, count));
  const int64_t each = weight.elements() / weight.size(0);
  const auto* q = weight.data<int8_t>() + first * each;
  const float* s = scales.data<float>() + first;
  float* out = result.mutable_data<float>();
  parallel_for(count, std::max<int64_t>(1, (1 << 14) / each), [&](int64_t begin, int64_t end) {
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
  const IntegerWeights integers =
      integer_weights(quantized.values, x, false, node.c_str(), as_columns(conv, weight.shape()));
  Tensor acc = Tensor::empty(y[0].shape(), DType::int32);
  integer_convolution(geometry_here, spread(conv, inputs[0], weight.shape()), x, integers, acc);

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
                     .unit = accumulator_units(x.scale, quantized.scales),
                     .skip = adds ? inputs[3] : Tensor(),
                     .skip_grid = skip,
                     .activation = activation_named(conv.activation),
                     .input_scale = adds ? std::max(x.scale, skip.scale) : x.scale},
                    *output, y[0], context);
  } else {
    Dequantizer(factors.empty() ? quantized.bias : std::vector<int32_t>(channels, 0),
                accumulator_units(x.scale, scales))
        .all(acc, y[0]);
    if (!factors.empty()) ops::broadcast_map(y[0], inputs[2], y[0], [](float v, float b) { return v + b; });
  }
  if (weights_learning) {
    context.keep(weight);
    if (context.recording()) context.keep(Tensor::from<float>({channels}, quantized.scales));
  }
  if (quantized.mask.defined()) context.keep(quantized.mask);
}

void QuantizedConv::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const Tensor qw = context.kept(1);
  size_t next = 3;  // of what is kept where it is there
  if (output != nullptr) ++next;
  size_t input = adds ? 4 : 3;
  if (output_learning) {
    if (dx.wanted(input)) dx.set(input, learned_gradient(context, next, output_learning, dy[0]));
    ++next;
    ++input;
  }
  const bool learning = weights_learning && dx.wanted(input);
  Wanted wanted{.x = dx.wanted(0), .weight = dx.wanted(1) || dx.wanted(2) || learning, .skip = adds && dx.wanted(3)};
  Found found =
      conv.linear || conv.transposed ? gradients(context, dy[0], wanted) : sliced_gradients(context, dy[0], wanted);
  if (wanted.weight) {
    if (weights_learning) {
      const auto used = context.kept(next + 1).values<float>();
      if (learning)
        dx.set(input, learned_gradient(weights_learning, context.kept(next), {used.begin(), used.end()}, rounding,
                                       factors.empty() ? found.weight : by_channel(found.weight, factors, true)));
      next += 2;
    }
    if (context.kept_count() > next) found.weight = through_mask(context, next, found.weight);
    if (dx.wanted(1)) dx.set(1, found.weight);
    if (dx.wanted(2)) dx.set(2, found.bias);
  }
  if (wanted.skip) dx.set(3, std::move(found.skip));
  if (wanted.x) dx.set(0, std::move(found.x));
}

// Few large products, of whole tensors.
QuantizedConv::Found QuantizedConv::gradients(const Context& context, Tensor& dy, const Wanted& wanted) const {
  const Tensor qx = context.kept(0), qw = context.kept(1), scales = context.kept(2);
  Found found;
  const Tensor dv = output == nullptr ? dy : through_mask(context, 3, dy);
  if (wanted.weight) {
    found.weight = Tensor::empty(qw.shape());
    found.bias = Tensor::empty({qw.size(0)});
    weight_gradient(conv, dequantize(qx, x.scale), dv, found.weight, found.bias);
  }
  if (wanted.x && conv.linear) {
    // Some rows of the weights at a time, so that their float copy stays in cache.
    found.x = Tensor::empty(qx.shape());
    const int64_t outputs = qw.size(0), each = qw.size(1), some = std::max<int64_t>(16, (1 << 18) / each);
    const int64_t rows = dv.elements() / outputs;
    for (int64_t first = 0; first < outputs; first += some) {
      const int64_t count = std::min(some, outputs - first);
      const Tensor w = real_weights(qw, scales, first, count);
      Tensor part = dv;
      if (count < outputs) {
        part = Tensor::empty({rows, count});
        copy_strided({.sizes = {rows, count}, .from_strides = {outputs, 1}, .to_strides = {count, 1}, .from = first},
                     dv, part);
      }
      onednn::gemm({.rows = rows, .columns = each, .depth = count, .accumulate = first > 0}, part.data<float>(),
                   w.data<float>(), found.x.mutable_data<float>());
    }
  } else if (wanted.x) {
    found.x = data_gradient(conv, dv, real_weights(qw, scales, 0, qw.size(0)), qx.shape(), false);
  }
  if (wanted.skip) found.skip = dv;
  return found;
}

// Slice by slice, so that the masked gradient and the float copy of the integers stay in cache.
QuantizedConv::Found QuantizedConv::sliced_gradients(const Context& context, Tensor& dy, const Wanted& wanted) const {
  const Tensor qx = context.kept(0), qw = context.kept(1), scales = context.kept(2);
  const Tensor mask = output == nullptr ? Tensor() : context.kept(3);
  const auto c = geometry(conv, qx.shape(), qw.shape(), dy.shape());
  using Slices = onednn::ConvolutionSlices;
  const Tensor w = wanted.x ? real_weights(qw, scales, 0, c.out) : Tensor();
  std::optional<const Slices> data;
  if (wanted.x) data.emplace(onednn::Kind::backward_data, c, w, Slices::Options{.keep = false});
  Slices weight_slices(onednn::Kind::backward_weights, c, qw, {.bias = true});
  const int64_t image_rows = c.out_height * c.out_width;
  const auto* in = qx.dtype() == DType::int8 ? qx.data<int8_t>() : nullptr;
  const auto* words = qx.dtype() == DType::int16 ? qx.data<int16_t>() : nullptr;
  const float* g = dy.data<float>();
  Found found;
  if (wanted.skip) found.skip = reuse_or_empty(dy);
  float* to_skip = wanted.skip ? found.skip.mutable_data<float>() : nullptr;
  if (wanted.x) found.x = Tensor::empty(qx.shape());
  float* to = wanted.x ? found.x.mutable_data<float>() : nullptr;
  const auto& kernels = kernel::elementwise_kernels();
  weight_slices.for_each([&](int64_t slice, int64_t image) {
    const int64_t images = weight_slices.images(slice);
    Tensor masked_here, real;
    const float* dv = g + image * c.out_image();
    if (mask.defined()) {
      if (!wanted.skip) masked_here = Tensor::empty({images * c.out_image()});
      float* out = wanted.skip ? to_skip + image * c.out_image() : masked_here.mutable_data<float>();
      masked(mask, image * image_rows, (image + images) * image_rows, c.out, dv, out);
      dv = out;
    }
    if (wanted.weight) {
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
  if (wanted.weight) {
    // The gradient is that of the integers; their scale comes after, on the few weights.
    found.weight = Tensor::empty(qw.shape());
    found.bias = Tensor::empty({c.out});
    weight_slices.finish(found.weight, found.bias);
    float* out = found.weight.mutable_data<float>();
    parallel_for(found.weight.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] *= x.scale;
    });
  }
  return found;
}

}  // namespace sinter::quant
