#pragma once
// Private: how accumulators become a quantised output in QAT and VALIDATION; shared by all layers that compute.

#include <functional>
#include <string>
#include <vector>

#include "../../core/op.h"
#include "../integer/requantize.h"
#include "../quantizer.h"

namespace sinter::quant {

/// Where a quantised tensor's integers live: real value = integer * scale.
struct Grid {
  float scale = 1;
  Bounds bounds;
};

/// What one forward pass of a prepared model wants of its operations. They use it in forward only.
struct Pass {
  const March* march = nullptr;
  bool observe = false;
  /// Called with a node's name and integers: int8 outputs, or the int32 accumulators of a high-precision head.
  std::function<void(const std::string&, const Tensor&)> inspect;
};

/// Accumulators int32 [...,C] on their way to an output. Real value: (acc + bias[c]) unit[c] / divisor + skip's.
struct Accumulators {
  Tensor acc{};
  std::vector<int32_t> bias;
  std::vector<double> unit;
  int64_t divisor = 1;
  Tensor skip{};  ///< int8 of the same shape, or undefined
  Grid skip_grid{};
  Activation activation = Activation::none;
};

/// The multipliers of a layer: by channel the nearest to unit[c] / (divisor y_scale), and to skip's scale / y_scale
/// where there is a skip.
std::vector<Multiplier> multipliers(const std::string& node, const March& march, const std::vector<double>& unit,
                                    int64_t divisor, const Grid* skip, float y_scale);

/// The integers with which these accumulators become outputs of scale y_scale.
Requantization requantization(const std::string& node, const March& march, const Accumulators& a, float y_scale);

/// Fills y (int8), after the range was observed where the pass says so. Where a backward may follow, keeps the mask of
/// the straight-through gradient.
void quantize_output(const std::string& node, const Pass& pass, const Accumulators& a,
                     const ActivationQuantizer& quantizer, Tensor& y, Context& context);

/// y = x where the mask is set, else 0, for rows begin..end-1 of it, of `row` values each; y may be x.
void masked(const Tensor& mask, int64_t begin, int64_t end, int64_t row, const float* x, float* y);
/// dy where the i-th kept tensor, such a mask, is set, else 0.
Tensor through_mask(const Context& context, size_t i, const Tensor& dy);

}  // namespace sinter::quant
