#pragma once
// Private: one rescaling and one saturation per output value, over whole tensors, and where their gradient passes.

#include <memory>
#include <span>
#include <vector>

#include "../../core/kernel/requantize.h"
#include "../../core/repeated.h"
#include "../../core/tensor.h"
#include "../contract.h"

namespace sinter::quant {

/// Where the straight-through gradient passes: the real value before the activation, (acc + qb) unit + skip skip_unit
/// in double, rounds on y's scale to within `type` (or, where `strictly`, is between its ends), and is above 0 (relu)
/// and below 6 (relu6). It never goes through a rescaling's integers.
struct GradientMask {
  std::span<const double> unit;  ///< per output channel
  double skip_unit = 0;
  float scale = 1;  ///< of y
  Bounds type{};
  Activation activation = Activation::none;
  Rounding rounding = Rounding::half_to_even;
  bool strictly = false;
};

/// How the accumulators of a layer become its output, for pieces of tensors and whole ones.
class Requantizer {
 public:
  Requantizer(const Datapath& datapath, Rescalings rescalings);

  /// `count` rows of O values, by the calling thread; skip may be null.
  void rows(int64_t count, const int32_t* acc, const int8_t* skip, int8_t* y) const;
  /// acc [...,O] int32, skip int8 or int16 of its shape or undefined, y int8 or int16; on all threads. `mask` (of
  /// `empty_mask`, rows of O bits; null: none) is set where the gradient passes, as `by` says.
  void all(const Tensor& acc, const Tensor& skip, Tensor& y, const GradientMask* by = nullptr,
           Tensor* mask = nullptr) const;

 private:
  std::vector<int32_t> bias_;
  std::shared_ptr<const Rescaler> rescaler_;
};

/// What 1 of an accumulator is worth, by channel: double(s_x) * double(s_w).
std::vector<double> accumulator_units(float x_scale, std::span<const float> weight_scales);

/// Accumulators as real numbers: float((acc + bias) unit) by channel, in double.
class Dequantizer {
 public:
  Dequantizer(const std::vector<int32_t>& bias, const std::vector<double>& unit);

  /// `count` values that start with the first channel, by the calling thread.
  void values(int64_t count, const int32_t* acc, float* y) const;
  /// A whole tensor, on all threads.
  void all(const Tensor& acc, Tensor& y) const;

 private:
  Repeated<double> bias_, unit_;
  kernel::RealArguments arguments_;
};

}  // namespace sinter::quant
