#include "conv.h"

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
  const size_t masks = output == nullptr ? 3 : 4;
  Tensor dv = output == nullptr ? dy[0] : through_mask(context, 3, dy[0]);
  const auto c = geometry(conv, qx.shape(), qw.shape(), dv.shape());
  const int64_t each = qw.elements() / c.out;
  if (dx.wanted(1) || dx.wanted(2)) {
    // The convolution of the integers; their scale comes after, on the few weights.
    Tensor dweight = Tensor::empty(qw.shape()), dbias = Tensor::empty({c.out});
    onednn::convolution_backward_weights(c, to_float(qx), dv, dweight, dbias);
    float* out = dweight.mutable_data<float>();
    for (int64_t i = 0; i < dweight.elements(); ++i) out[i] *= x.scale;
    if (context.kept_count() > masks) dweight = through_mask(context, masks, dweight);
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (dx.wanted(0)) {
    Tensor real = to_float(qw);
    float* w = real.mutable_data<float>();
    const float* s = scales.data<float>();
    for (int64_t i = 0; i < real.elements(); ++i) w[i] *= s[i / each];
    onednn::convolution_backward_data(c, dv, real, dx.create(0), false);
  }
  if (dx.size() == 4 && dx.wanted(3)) dx.set(3, std::move(dv));
}

}  // namespace sinter::quant
