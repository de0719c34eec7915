#include "output.h"

#include "../../core/parallel.h"

namespace sinter::quant {

namespace {

// The real values of a layer before they are quantised, as its observer sees them: computed from the accumulators block
// by block, never through a multiplier.
Samples real_values(const Accumulators& a) {
  const auto channels = static_cast<int64_t>(a.unit.size());
  std::vector<double> unit(a.unit), bias(a.bias.begin(), a.bias.end());
  for (double& u : unit) u /= static_cast<double>(a.divisor);
  const auto* acc = a.acc.data<int32_t>();
  const int8_t* skip = a.skip.defined() ? a.skip.data<int8_t>() : nullptr;
  const float skip_scale = a.skip_grid.scale;
  const float low = a.activation == Activation::none ? -INFINITY : 0.0f;
  const float high = a.activation == Activation::relu6 ? 6.0f : INFINITY;
  return {a.acc.elements(),
          [=, unit = std::move(unit), bias = std::move(bias)](int64_t begin, int64_t end, float* out) {
            int64_t c = begin % channels;
            for (int64_t i = begin; i < end;) {
              const int64_t run = std::min(channels - c, end - i);
              for (int64_t k = 0; k < run; ++k) {
                double v = (acc[i + k] + bias[c + k]) * unit[c + k];
                if (skip != nullptr) v += static_cast<double>(skip[i + k]) * skip_scale;
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

}  // namespace

std::vector<Multiplier> multipliers(const std::string& node, const March& march, const std::vector<double>& unit,
                                    int64_t divisor, const Grid* skip, float y_scale) {
  const double skip_ratio = skip == nullptr ? 0 : static_cast<double>(skip->scale) / y_scale;
  std::vector<Multiplier> result;
  for (const double u : unit)
    result.push_back(multiplier(march, u / (static_cast<double>(divisor) * y_scale), skip_ratio,
                                skip == nullptr ? Bounds{0, 0} : skip->bounds, node.c_str()));
  return result;
}

Requantization requantization(const std::string& node, const March& march, const Accumulators& a, float y_scale) {
  Requantization r;
  r.bias = a.bias;
  r.bounds = output_bounds(a.activation, y_scale, march.rounding);
  r.rounding = march.rounding;
  r.multipliers = multipliers(node, march, a.unit, a.divisor, a.skip.defined() ? &a.skip_grid : nullptr, y_scale);
  return r;
}

void quantize_output(const std::string& node, const Pass& pass, const Accumulators& a,
                     const ActivationQuantizer& quantizer, Tensor& y, Context& context) {
  if (pass.observe && a.acc.elements() > 0) quantizer.observe(real_values(a));
  const float y_scale = quantizer.scale(*pass.march);
  const Requantization r = requantization(node, *pass.march, a, y_scale);
  if (context.recording()) {
    Tensor mask = Tensor::empty({a.acc.elements()}, DType::uint8);
    const GradientMask by{{},
                          a.activation != Activation::none,
                          a.activation == Activation::relu6 ? 6.0 / static_cast<double>(y_scale) : 0.0};
    requantize(a.acc, a.skip, r, y, by, mask);
    context.keep(mask);
  } else {
    requantize(a.acc, a.skip, r, y);
  }
  if (pass.inspect) pass.inspect(node, y);
}

Tensor through_mask(const Context& context, size_t i, const Tensor& dy) {
  Tensor result = reuse_or_empty(dy);
  const Tensor mask = context.kept(i);
  const uint8_t* m = mask.data<uint8_t>();
  const float* g = dy.data<float>();
  float* out = result.mutable_data<float>();
  parallel_for(result.elements(), 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) out[k] = m[k] != 0 ? g[k] : 0.0f;
  });
  return result;
}

}  // namespace sinter::quant
