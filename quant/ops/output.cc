#include "output.h"

#include "../../core/kernel/elementwise.h"
#include "../../core/kernel/requantize.h"
#include "../../core/parallel.h"
#include "../integer/values.h"
#include "../layers/conv.h"

namespace sinter::quant {

namespace {

// The real values of a layer before they are quantised, as its observer sees them: computed from the accumulators block
// by block, never through a multiplier.
Samples real_values(const Accumulators& a) {
  std::vector<double> unit(a.unit), bias(a.bias.begin(), a.bias.end());
  kernel::RealArguments arguments;
  arguments.acc = a.acc.data<int32_t>();
  const bool wide = a.skip.defined() && a.skip.dtype() == DType::int16;
  arguments.skip = a.skip.defined() && !wide ? a.skip.data<int8_t>() : nullptr;
  arguments.skip_unit = static_cast<double>(a.skip_grid.scale);
  arguments.channels = static_cast<int64_t>(unit.size());
  arguments.low = a.activation == Activation::none ? -INFINITY : 0.0f;
  arguments.high = ceiling(a.activation);
  if (wide) {
    arguments.low = -INFINITY;  // after the skip
    arguments.high = INFINITY;
  }
  const int16_t* words = wide ? a.skip.data<int16_t>() : nullptr;
  const float low = a.activation == Activation::none ? -INFINITY : 0.0f, high = ceiling(a.activation);
  const auto& kernels = kernel::requantize_kernels();
  return {a.acc.elements(), [arguments, words, low, high, &kernels, unit = std::move(unit), bias = std::move(bias)](
                                int64_t begin, int64_t end, float* out) {
            kernel::RealArguments here = arguments;
            here.bias = bias.data();
            here.unit = unit.data();
            kernels.real(here, begin, end, out);
            if (words != nullptr)
              for (int64_t i = begin; i < end; ++i) {
                float& v = out[i - begin];
                v += static_cast<float>(words[i] * here.skip_unit);
                v = v < low ? low : v > high ? high : v;
              }
            return static_cast<const float*>(out);
          }};
}

// By several sums: one would wait for every addition.
double dot(const float* a, const float* b, int64_t count) {
  constexpr int kSums = 16;
  double sums[kSums] = {}, total = 0;
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int j = 0; j < kSums; ++j) sums[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  for (; i < count; ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (const double sum : sums) total += sum;
  return total;
}

// The slopes of the learned number at all values.
Tensor slopes_of(const Samples& v, const Shape& shape, const ActivationQuantizer& quantizer, float scale,
                 Rounding rounding) {
  Tensor slopes = Tensor::empty(shape);
  float* out = slopes.mutable_data<float>();
  const float inverse = 1.0f / scale;
  v.for_each([&](int64_t begin, const float* x, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[begin + i] = x[i] * inverse;
    quantizer.fake_quant().slopes(out + begin, count, quantizer.bounds(), rounding, out + begin);
  });
  return slopes;
}

}  // namespace

void quantize_output(const std::string& node, const Pass& pass, const Accumulators& a,
                     const ActivationQuantizer& quantizer, Tensor& y, Context& context) {
  if (pass.training && a.acc.elements() > 0) quantizer.train(real_values(a), pass.observe);
  const Arithmetic& march = *pass.march;
  const float scale = quantizer.scale(march, a.input_scale);
  Grid y_grid{scale, quantizer.bounds(), quantizer.dtype(), quantizer.config().bits};
  auto by = channel_rescalings(node, march, a.unit, a.skip.defined() ? &a.skip_grid : nullptr, y_grid);
  const Requantizer requantizer(
      *march.datapath, {a.bias, std::move(by), output_bounds(a.activation, scale, march.rounding, quantizer.bounds())});
  if (!context.recording()) return requantizer.all(a.acc, a.skip, y);
  const auto channels = static_cast<int64_t>(a.unit.size());
  Tensor mask = empty_mask(a.acc.elements() / channels, channels);
  const GradientMask passes{.unit = a.unit,
                            .skip_unit = static_cast<double>(a.skip_grid.scale),
                            .scale = scale,
                            .type = quantizer.bounds(),
                            .activation = a.activation,
                            .rounding = march.rounding,
                            .strictly = quantizer.fake_quant().strictly_inside()};
  requantizer.all(a.acc, a.skip, y, &passes, &mask);
  context.keep(mask);
  if (quantizer.learned.defined())
    context.keep(slopes_of(real_values(a), a.acc.shape(), quantizer, scale, march.rounding));
}

void quantize_output(const Pass& pass, const Tensor& v, float input_scale, const ActivationQuantizer& quantizer,
                     Tensor& y, Context& context) {
  if (pass.training && v.elements() > 0) quantizer.train(Samples(v), pass.observe);
  const Arithmetic& march = *pass.march;
  const float scale = quantizer.scale(march, input_scale);
  Tensor mask;
  quantize(v, {&scale, 1}, quantizer.bounds(), march.rounding, y, context.recording() ? &mask : nullptr,
           quantizer.fake_quant().strictly_inside());
  if (!context.recording()) return;
  context.keep(mask);
  if (quantizer.learned.defined()) context.keep(slopes_of(Samples(v), v.shape(), quantizer, scale, march.rounding));
}

Tensor learned_gradient(const Context& context, size_t i, const Learning& learning, const Tensor& dy) {
  const Tensor slopes = context.kept(i);
  const float* slope = slopes.data<float>();
  // Block by block, added in order: threads change nothing.
  std::vector<double> sums(dy.elements() / Samples::kBlock + 1);
  Samples(dy).for_each([&](int64_t begin, const float* g, int64_t count) {
    sums[begin / Samples::kBlock] = dot(g, slope + begin, count);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  const int64_t features = dy.elements() / std::max<int64_t>(dy.size(0), 1);
  const double factor = learning.by->gradient_scale(std::max<int64_t>(features, 1), learning.bounds);
  return Tensor::from({1}, {static_cast<float>(sum * factor)});
}

void masked(const Tensor& mask, int64_t begin, int64_t end, int64_t row, const float* x, float* y) {
  kernel::elementwise_kernels().masked(mask.data<uint8_t>() + begin * mask.size(1), x, end - begin, row, y);
}

Tensor through_mask(const Context& context, size_t i, const Tensor& dy) {
  constexpr int64_t kGrain = 1 << 14;
  Tensor result = reuse_or_empty(dy);
  const Tensor mask = context.kept(i);
  const int64_t rows = mask.size(0), row = dy.elements() / std::max<int64_t>(rows, 1);
  const float* g = dy.data<float>();
  float* out = result.mutable_data<float>();
  if (rows == 1) {  // cut at bytes
    const auto* bits = mask.data<uint8_t>();
    parallel_for(mask.elements(), kGrain / 8, [&](int64_t begin, int64_t end) {
      kernel::elementwise_kernels().masked(bits + begin, g + 8 * begin, 1, std::min(8 * end, row) - 8 * begin,
                                           out + 8 * begin);
    });
  } else {
    parallel_for(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(row, 1)), [&](int64_t begin, int64_t end) {
      masked(mask, begin, end, row, g + begin * row, out + begin * row);
    });
  }
  return result;
}

}  // namespace sinter::quant
