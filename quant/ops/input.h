#pragma once
// Private: where float tensors enter and leave the integer part of a prepared model in QAT.

#include <atomic>
#include <functional>

#include "output.h"

namespace sinter::quant {

/// x float32 to the integers of `output`. A second input is what `output` learns. Gradient: straight through where the
/// value is inside of the bounds.
struct Quantize final : Op {
  const ActivationQuantizer* output = nullptr;
  Learning learning{};
  const Pass* pass = nullptr;
  float input_scale = 0;                 ///< the largest of what the layer reads whose output x is
  std::atomic<int64_t>* nans = nullptr;  ///< where not null: NaN becomes 0 and is counted
  /// The integers that the program has instead of the nearest to x, once the scale is known.
  std::function<Tensor(float scale)> exact{};

  std::string_view name() const override { return "quantize"; }
  Specs infer(std::span<const Spec> x) const override { return {{output->dtype(), x[0].shape}}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// int8 or int16 to float32: integer * scale.
struct Dequantize final : Op {
  float scale = 1;

  std::string_view name() const override { return "dequantize"; }
  Specs infer(std::span<const Spec> x) const override { return {{DType::float32, x[0].shape}}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::quant
