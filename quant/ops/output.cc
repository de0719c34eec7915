#include "output.h"

#include "../../core/kernel/elementwise.h"
#include "../../core/kernel/requantize.h"
#include "../../core/parallel.h"
#include "../integer/values.h"

namespace sinter::quant {

namespace {

// The real values of a layer before they are quantised, as its observer sees them: computed from the accumulators block
// by block, never through a multiplier.
Samples real_values(const Accumulators& a) {
  std::vector<double> unit(a.unit), bias(a.bias.begin(), a.bias.end());
  for (double& u : unit) u /= static_cast<double>(a.divisor);
  kernel::RealArguments arguments;
  arguments.acc = a.acc.data<int32_t>();
  arguments.skip = a.skip.defined() ? a.skip.data<int8_t>() : nullptr;
  arguments.skip_unit = static_cast<double>(a.skip_grid.scale);
  arguments.channels = static_cast<int64_t>(unit.size());
  arguments.low = a.activation == Activation::none ? -INFINITY : 0.0f;
  arguments.high = ceiling(a.activation);
  const auto& kernels = kernel::requantize_kernels();
  return {a.acc.elements(), [arguments, &kernels, unit = std::move(unit), bias = std::move(bias)](
                                int64_t begin, int64_t end, float* out) {
            kernel::RealArguments here = arguments;
            here.bias = bias.data();
            here.unit = unit.data();
            kernels.real(here, begin, end, out);
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
    const auto channels = static_cast<int64_t>(a.unit.size());
    Tensor mask = empty_mask(a.acc.elements() / channels, channels);
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

void masked(const Tensor& mask, int64_t begin, int64_t end, int64_t row, const float* x, float* y) {
  const int64_t bytes = mask.size(1);
  const uint8_t* bits = mask.data<uint8_t>() + begin * bytes;
  const auto& kernels = kernel::elementwise_kernels();
  if (row % 8 == 0) return kernels.masked(bits, x, (end - begin) * row, y);
  for (int64_t r = 0; r < end - begin; ++r) kernels.masked(bits + r * bytes, x + r * row, row, y + r * row);
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
      kernel::elementwise_kernels().masked(bits + begin, g + 8 * begin, std::min(8 * end, row) - 8 * begin,
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
