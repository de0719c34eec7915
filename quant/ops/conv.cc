#include "conv.h"

#include "../../core/parallel.h"
#include "../integer/conv.h"
#include "../integer/requantize.h"

namespace sinter::quant {

namespace {

Specs real_specs(std::span<const Spec> inputs) {
  Specs specs(inputs.begin(), inputs.end());
  specs[0].dtype = DType::float32;
  if (specs.size() == 4) specs[3].dtype = DType::float32;
  return specs;
}

// The real values of a quantised layer before they are quantised, as its observer sees them: computed from the
// accumulators block by block, never through a multiplier.
Samples real_values(const Tensor& acc, const QuantizedWeights& weights, float x_scale, const Tensor& skip,
                    float skip_scale, Activation activation) {
  const auto channels = static_cast<int64_t>(weights.scales.size());
  std::vector<double> unit(channels), bias(channels);
  for (int64_t c = 0; c < channels; ++c) {
    unit[c] = static_cast<double>(x_scale) * weights.scales[c];
    bias[c] = weights.bias[c];
  }
  const auto* a = acc.data<int32_t>();
  const int8_t* s = skip.defined() ? skip.data<int8_t>() : nullptr;
  const float low = activation == Activation::none ? -INFINITY : 0.0f;
  const float high = activation == Activation::relu6 ? 6.0f : INFINITY;
  return {acc.elements(), [=, unit = std::move(unit), bias = std::move(bias)](int64_t begin, int64_t end, float* out) {
            int64_t c = begin % channels;
            for (int64_t i = begin; i < end;) {
              const int64_t run = std::min(channels - c, end - i);
              for (int64_t k = 0; k < run; ++k) {
                double v = (a[i + k] + bias[c + k]) * unit[c + k];
                if (s != nullptr) v += static_cast<double>(s[i + k]) * skip_scale;
                float f = static_cast<float>(v);
                f = f < low ? low : f;
                out[i - begin + k] = f > high ? high : f;
              }
              i += run;
              c = 0;
            }
            return static_cast<const float*>(out);
          }};
}

Tensor floats_of(const Tensor& q) {
  Tensor result = Tensor::empty(q.shape());
  const int8_t* in = q.data<int8_t>();
  float* out = result.mutable_data<float>();
  parallel_for(q.elements(), 1 << 15, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = in[i];
  });
  return result;
}

}  // namespace

Requantization conv_requantization(const std::string& node, const March& march, const QuantizedWeights& weights,
                                   const Grid& x, const Grid* skip, Activation activation, float y_scale) {
  Requantization r;
  r.bias = weights.bias;
  r.bounds = output_bounds(activation, y_scale, march.rounding);
  r.rounding = march.rounding;
  const double skip_ratio = skip == nullptr ? 0 : static_cast<double>(skip->scale) / y_scale;
  for (const float scale : weights.scales)
    r.multipliers.push_back(multiplier(march, static_cast<double>(x.scale) * scale / y_scale, skip_ratio,
                                       skip == nullptr ? Bounds{0, 0} : skip->bounds, node.c_str()));
  return r;
}

Specs QuantizedConv::infer(std::span<const Spec> inputs) const {
  check(inputs[0].dtype == DType::int8, name(), ": input is ", inputs[0], ", expected int8");
  const Specs y = FusedConv(conv).infer(real_specs(inputs));
  return {{output == nullptr ? DType::float32 : DType::int8, y[0].shape}};
}

void QuantizedConv::forward(Inputs inputs, Outputs y, Context& context) const {
  const Tensor& weight = inputs[1];
  const Tensor skip_values = inputs.size() == 4 ? inputs[3] : Tensor();
  const QuantizedWeights weights = quantize_weights(node, weight_config, *pass.march, weight, inputs[2], x.scale);
  const auto c = geometry(conv, inputs[0].shape(), weight.shape(), y[0].shape());
  Tensor acc = Tensor::empty(y[0].shape(), DType::int32);
  integer_convolution(c, inputs[0], x.bounds, integer_weights(weights.values, x.bounds, false, node.c_str()), acc);
  const auto channels = static_cast<int64_t>(weights.scales.size());

  context.keep(inputs[0]);
  context.keep(weights.values);
  if (context.recording()) context.keep(Tensor::from<float>({channels}, weights.scales));
  if (output == nullptr) {
    auto* a = acc.mutable_data<int32_t>();
    float* out = y[0].mutable_data<float>();
    for (int64_t i = 0; i < acc.elements(); ++i) {
      a[i] += weights.bias[i % channels];
      out[i] = dequantize(a[i], x.scale, weights.scales[i % channels]);
    }
    if (pass.inspect) pass.inspect(acc);
  } else {
    if (pass.observe) output->observe(real_values(acc, weights, x.scale, skip_values, skip.scale, activation));
    const float y_scale = output->scale(*pass.march);
    const Requantization r = conv_requantization(node, *pass.march, weights, x, skip_values.defined() ? &skip : nullptr,
                                                 activation, y_scale);
    if (context.recording()) {
      Tensor mask = Tensor::empty({acc.elements()}, DType::uint8);
      const GradientMask by{{},
                            activation != Activation::none,
                            activation == Activation::relu6 ? 6.0 / static_cast<double>(y_scale) : 0.0};
      requantize(acc, skip_values, r, y[0], by, mask);
      context.keep(mask);
    } else {
      requantize(acc, skip_values, r, y[0]);
    }
    if (pass.inspect) pass.inspect(y[0]);
  }
  if (context.recording() && weights.mask.defined()) context.keep(weights.mask);
}

void QuantizedConv::backward(const Context& context, Outputs dy, Gradients& dx) const {
  const Tensor qx = context.kept(0), qw = context.kept(1), scales = context.kept(2);
  const size_t masks = output == nullptr ? 3 : 4;
  Tensor dv = dy[0];
  if (output != nullptr) {
    dv = reuse_or_empty(dy[0]);
    const Tensor mask = context.kept(3);
    const uint8_t* m = mask.data<uint8_t>();
    const float* g = dy[0].data<float>();
    float* out = dv.mutable_data<float>();
    parallel_for(dv.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = m[i] != 0 ? g[i] : 0.0f;
    });
  }
  const auto c = geometry(conv, qx.shape(), qw.shape(), dv.shape());
  const int64_t each = qw.elements() / c.out;
  if (dx.wanted(1) || dx.wanted(2)) {
    // The convolution of the integers; their scale comes after, on the few weights.
    Tensor dweight = Tensor::empty(qw.shape()), dbias = Tensor::empty({c.out});
    onednn::convolution_backward_weights(c, floats_of(qx), dv, dweight, dbias);
    float* out = dweight.mutable_data<float>();
    for (int64_t i = 0; i < dweight.elements(); ++i) out[i] *= x.scale;
    if (context.kept_count() > masks) {
      const Tensor mask = context.kept(masks);
      const uint8_t* m = mask.data<uint8_t>();
      for (int64_t i = 0; i < dweight.elements(); ++i) out[i] = m[i] != 0 ? out[i] : 0.0f;
    }
    if (dx.wanted(1)) dx.set(1, dweight);
    if (dx.wanted(2)) dx.set(2, dbias);
  }
  if (dx.wanted(0)) {
    Tensor real = floats_of(qw);
    float* w = real.mutable_data<float>();
    const float* s = scales.data<float>();
    for (int64_t i = 0; i < real.elements(); ++i) w[i] *= s[i / each];
    onednn::convolution_backward_data(c, dv, real, dx.create(0), false);
  }
  if (dx.size() == 4 && dx.wanted(3)) dx.set(3, std::move(dv));
}

}  // namespace sinter::quant
