#include "conv.h"

#include <optional>

#include "../../core/kernel/elementwise.h"
#include "../../core/parallel.h"
#include "../integer/conv.h"

namespace sinter::quant {

namespace {

Specs real_specs(std::span<const Spec> inputs) {
  Specs specs(inputs.begin(), inputs.end());
  specs[0].dtype = DType::float32;
  if (specs.size() == 4) specs[3].dtype = DType::float32;
  return specs;
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

}  // namespace

std::vector<double> accumulator_units(const QuantizedWeights& weights, float x_scale) {
  std::vector<double> units;
  for (const float scale : weights.scales) units.push_back(static_cast<double>(x_scale) * scale);
  return units;
}

Specs QuantizedConv::infer(std::span<const Spec> inputs) const {
  check(inputs[0].dtype == DType::int8, name(), ": input is ", inputs[0], ", expected int8");
  const Specs y = FusedConv(conv).infer(real_specs(inputs));
  return {{output == nullptr ? DType::float32 : DType::int8, y[0].shape}};
}

void QuantizedConv::forward(Inputs inputs, Outputs y, Context& context) const {
  const Tensor& weight = inputs[1];
  const QuantizedWeights weights = quantize_weights(node, weight_config, *pass->march, weight, inputs[2], x.scale);
  Tensor acc = Tensor::empty(y[0].shape(), DType::int32);
  if (acc.elements() > 0)
    integer_convolution(geometry(conv, inputs[0].shape(), weight.shape(), y[0].shape()), inputs[0], x.bounds,
                        integer_weights(weights.values, x.bounds, false, node.c_str()), acc);

  context.keep(inputs[0]);
  context.keep(weights.values);
  const auto channels = static_cast<int64_t>(weights.scales.size());
  if (context.recording()) context.keep(Tensor::from<float>({channels}, weights.scales));
  if (output != nullptr) {
    quantize_output(node, *pass,
                    {.acc = acc,
                     .bias = weights.bias,
                     .unit = accumulator_units(weights, x.scale),
                     .skip = inputs.size() == 4 ? inputs[3] : Tensor(),
                     .skip_grid = skip,
                     .activation = activation},
                    *output, y[0], context);
  } else {
    auto* a = acc.mutable_data<int32_t>();
    float* out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      a[i] += weights.bias[i % channels];
      out[i] = dequantize(a[i], x.scale, weights.scales[i % channels]);
    }
    if (pass->inspect) pass->inspect(node, acc);
  }
  if (weights.mask.defined()) context.keep(weights.mask);
}

void QuantizedConv::backward(const Context& context, Outputs dy, Gradients& dx) const {
  if (dy[0].elements() == 0) return zero_gradients(context, dx);
  const Tensor qx = context.kept(0), qw = context.kept(1), scales = context.kept(2);
  const Tensor mask = output == nullptr ? Tensor() : context.kept(3);
  const size_t weight_mask = output == nullptr ? 3 : 4;
  const bool wants_weight = dx.wanted(1) || dx.wanted(2), skips = dx.size() == 4 && dx.wanted(3);
  const auto c = geometry(conv, qx.shape(), qw.shape(), dy[0].shape());
  using Slices = onednn::ConvolutionSlices;
  const Tensor w = dx.wanted(0) ? real_weights(qw, scales) : Tensor();
  std::optional<const Slices> data;
  if (dx.wanted(0)) data.emplace(Slices::Kind::backward_data, c, w, Slices::Options{.keep = false});
  Slices weights(Slices::Kind::backward_weights, c, qw, {.bias = true});

  // Slice by slice, so that the masked gradient and the float copy of the integers stay in cache.
  const int64_t x_image = qx.elements() / c.batch, y_image = dy[0].elements() / c.batch, image_rows = y_image / c.out;
  const auto* in = qx.data<int8_t>();
  const float* g = dy[0].data<float>();
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  float* to = dx.wanted(0) ? dx.create(0).mutable_data<float>() : nullptr;
  const auto& kernels = kernel::elementwise_kernels();
  parallel_for(weights.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t slice = begin; slice < end; ++slice) {
      const int64_t image = weights.first(slice), images = weights.images(slice);
      Tensor masked_here, real;
      const float* dv = g + image * y_image;
      if (mask.defined()) {
        if (!skips) masked_here = Tensor::empty({images * y_image});
        float* out = skips ? to_skip + image * y_image : masked_here.mutable_data<float>();
        masked(mask, image * image_rows, (image + images) * image_rows, c.out, dv, out);
        dv = out;
      } else if (skips && to_skip != g) {
        std::copy_n(dv, images * y_image, to_skip + image * y_image);
      }
      if (wants_weight) {
        real = Tensor::empty({images * x_image});
        float* values = real.mutable_data<float>();
        kernels.widen(in + image * x_image, images * x_image, values);
        weights.backward_weights(slice, values, dv);
      }
      if (to != nullptr) data->backward_data(slice, dv, to + image * x_image);
    }
  });
  if (wants_weight) {
    // The gradient is that of the integers; their scale comes after, on the few weights.
    Tensor dweight = Tensor::empty(qw.shape()), dbias = Tensor::empty({c.out});
    weights.finish(dweight, dbias);
    float* out = dweight.mutable_data<float>();
    parallel_for(dweight.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] *= x.scale;
    });
    if (context.kept_count() > weight_mask) dweight = through_mask(context, weight_mask, dweight);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (skips) dx.set(3, std::move(dskip));
}

}  // namespace sinter::quant
