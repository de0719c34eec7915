#include "conv.h"

#include <optional>

#include "../../core/convolution_slices.h"
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

int64_t QuantizedConv::macs(std::span<const Spec> inputs) const { return FusedConv(conv).macs(real_specs(inputs)); }

void QuantizedConv::forward(Inputs inputs, Outputs y, Context& context) const {
  const Tensor& weight = inputs[1];
  const QuantizedWeights weights = quantize_weights(node, weight_config, *pass->march, weight, inputs[2], x.scale);
  const auto geometry_here = geometry(conv, inputs[0].shape(), weight.shape(), y[0].shape());
  const IntegerWeights integers = integer_weights(weights.values, x.bounds, false, node.c_str());
  Accumulators a{.bias = weights.bias,
                 .unit = accumulator_units(weights, x.scale),
                 .skip = inputs.size() == 4 ? inputs[3] : Tensor(),
                 .skip_grid = skip,
                 .activation = activation};
  if (output != nullptr && !pass->observe && !context.recording()) {
    integer_layer(geometry_here, inputs[0], x.bounds, integers, a.skip,
                  requantization(node, *pass->march, a, output->scale(*pass->march)), y[0]);
    if (pass->inspect) pass->inspect(node, y[0]);
    return;
  }
  Tensor acc = Tensor::empty(y[0].shape(), DType::int32);
  integer_convolution(geometry_here, inputs[0], x.bounds, integers, acc);

  context.keep(inputs[0]);
  context.keep(weights.values);
  const auto channels = static_cast<int64_t>(weights.scales.size());
  if (context.recording()) context.keep(Tensor::from<float>({channels}, weights.scales));
  if (output != nullptr) {
    a.acc = acc;
    quantize_output(node, *pass, a, *output, y[0], context);
  } else {
    auto* sums = acc.mutable_data<int32_t>();
    float* out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      sums[i] += weights.bias[i % channels];
      out[i] = dequantize(sums[i], x.scale, weights.scales[i % channels]);
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
  if (dx.wanted(0)) data.emplace(onednn::Kind::backward_data, c, w, Slices::Options{.keep = false});
  Slices weights(onednn::Kind::backward_weights, c, qw, {.bias = true});

  // Slice by slice, so that the masked gradient and the float copy of the integers stay in cache.
  const int64_t image_rows = c.out_height * c.out_width;
  const auto* in = qx.data<int8_t>();
  const float* g = dy[0].data<float>();
  Tensor dskip = skips ? reuse_or_empty(dy[0]) : Tensor();
  float* to_skip = skips ? dskip.mutable_data<float>() : nullptr;
  float* to = dx.wanted(0) ? dx.create(0).mutable_data<float>() : nullptr;
  const auto& kernels = kernel::elementwise_kernels();
  weights.for_each([&](int64_t slice, int64_t image) {
    const int64_t images = weights.images(slice);
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
      kernels.widen(in + image * c.image(), images * c.image(), values);
      weights.backward_weights(slice, values, dv);
    }
    if (to != nullptr) data->backward_data(slice, dv, to + image * c.image());
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
