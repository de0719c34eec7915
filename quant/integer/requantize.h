#pragma once
// Private: one rounding and one saturation per output value, over whole tensors.

#include <span>
#include <vector>

#include "../../core/kernel/requantize.h"
#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// How the accumulators of a layer become its output.
struct Requantization {
  std::vector<int32_t> bias;            ///< qb per output channel
  std::vector<Multiplier> multipliers;  ///< per output channel
  Bounds bounds;
  Rounding rounding = Rounding::half_to_even;
};

/// Where the straight-through gradient passes: the real value before the activation, (acc + qb) unit + skip skip_unit
/// in double, rounds on y's scale to within `type` (or, where `strictly`, is between its ends), and is above 0 (relu)
/// and below 6 (relu6). It never goes through a multiplier.
struct GradientMask {
  std::span<const double> unit;  ///< per output channel
  double skip_unit = 0;
  float scale = 1;  ///< of y
  Bounds type{};
  Activation activation = Activation::none;
  bool strictly = false;
};

/// y = sat(round(((acc + qb) m + skip ms) / 2^n)) for acc [..., O] int32, skip int8 or int16 of its shape or undefined;
/// y int8 or int16. `mask` (of `empty_mask`, rows of O bits) is set where the gradient passes.
void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y);
void requantize(const Tensor& acc, const Tensor& skip, const Requantization& r, Tensor& y, const GradientMask& by,
                Tensor& mask);

/// A requantisation to int8 as the kernels want it, for pieces of a tensor.
class Requantizer {
 public:
  explicit Requantizer(const Requantization& r);
  Requantizer(const Requantizer&) = delete;
  Requantizer& operator=(const Requantizer&) = delete;

  /// `count` rows of O values, by the calling thread; skip may be null.
  void rows(int64_t count, const int32_t* acc, const int8_t* skip, int8_t* y) const;
  /// A whole tensor, on all threads; `by` and `mask` may be null. Skip and y may also be int16.
  void all(const Tensor& acc, const Tensor& skip, Tensor& y, const GradientMask* by, Tensor* mask) const;

 private:
  template <class Skip, class Y>
  void plainly(const kernel::RequantizeArguments& a, const Tensor& acc, const Tensor& skip, Tensor& y) const;

  std::vector<int32_t> bias_;
  std::vector<double> scale_, skip_scale_;
  kernel::RequantizeArguments arguments_;
};

}  // namespace sinter::quant
