#pragma once
// Private: how real values become a quantised output in QAT; shared by all layers that compute.

#include <string>
#include <vector>

#include "../../core/op.h"
#include "../integer/requantize.h"
#include "../quantizer.h"

namespace sinter::quant {

/// What one forward pass in QAT wants of its operations. They use it in forward only.
struct Pass {
  const Arithmetic* march = nullptr;
  bool training = false;  ///< what is learned starts
  bool observe = false;   ///< ranges are observed, too
};

/// Accumulators int32 [...,C] on their way to an output. Real value: (acc + bias[c]) unit[c] + skip's.
struct Accumulators {
  Tensor acc{};
  std::vector<int32_t> bias;
  std::vector<double> unit;
  Tensor skip{};  ///< integers of the same shape, or undefined
  Grid skip_grid{};
  Activation activation = Activation::none;
  float input_scale = 0;  ///< the largest of what the layer reads
};

/// Fills y, after the range was observed where the pass says so. Where a backward may follow, keeps the mask of the
/// straight-through gradient and then, where the scale is learned, its slopes.
void quantize_output(const std::string& node, const Pass& pass, const Accumulators& a,
                     const ActivationQuantizer& quantizer, Tensor& y, Context& context);
/// The same for float32 values.
void quantize_output(const Pass& pass, const Tensor& v, float input_scale, const ActivationQuantizer& quantizer,
                     Tensor& y, Context& context);

/// The gradient of the learned number from that of the output, whose slopes are the i-th kept tensor.
Tensor learned_gradient(const Context& context, size_t i, const Learning& learning, const Tensor& dy);

/// y = x where the mask is set, else 0, for rows begin..end-1 of it, of `row` values each; y may be x.
void masked(const Tensor& mask, int64_t begin, int64_t end, int64_t row, const float* x, float* y);
/// dy where the i-th kept tensor, such a mask, is set, else 0.
Tensor through_mask(const Context& context, size_t i, const Tensor& dy);

}  // namespace sinter::quant
