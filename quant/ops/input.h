#pragma once
// Private: where float tensors enter and leave the integer part of a prepared model.

#include <atomic>

#include "output.h"

namespace sinter::quant {

/// x float32 to int8 on the grid of `output`. NaN becomes 0 and is counted. Gradient: straight through where
/// qmin <= round(x / s) <= qmax.
struct QuantizeInput final : Op {
  std::string node;
  const ActivationQuantizer* output = nullptr;
  const Pass* pass = nullptr;
  std::atomic<int64_t>* nans = nullptr;

  std::string_view name() const override { return "quantize"; }
  Specs infer(std::span<const Spec> x) const override { return {{DType::int8, x[0].shape}}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

/// int8 to float32: integer * scale.
struct Dequantize final : Op {
  float scale = 1;

  std::string_view name() const override { return "dequantize"; }
  Specs infer(std::span<const Spec> x) const override { return {{DType::float32, x[0].shape}}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::quant
