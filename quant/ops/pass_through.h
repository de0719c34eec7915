#pragma once
// Private: operations without arithmetic on integers; the scale passes through.

#include "output.h"

namespace sinter::quant {

/// A float operation that only moves and compares values (max pooling, reshape), on int8 values.
struct OnIntegers final : Op {
  std::string node;
  std::shared_ptr<const Op> op;
  const Pass* pass = nullptr;

  std::string_view name() const override { return op->name(); }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return op->aliasing() == Aliasing::view ? Aliasing::view : Aliasing::none; }
};

/// A ReLU or ReLU6 that no convolution took in: clamp(x, bounds). Gradient: straight through inside.
struct QuantizedClamp final : Op {
  std::string node;
  Activation activation = Activation::relu;
  double scale = 1;  ///< of input and output
  Bounds bounds;
  const Pass* pass = nullptr;

  std::string_view name() const override { return "quantized relu"; }
  Specs infer(std::span<const Spec> x) const override { return {x[0]}; }
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::quant
