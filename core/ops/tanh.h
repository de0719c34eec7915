#pragma once

#include "../op.h"

namespace sinter::ops {

/// The hyperbolic tangent. Any shape, float32.
struct Tanh final : Op {
  std::string_view name() const override { return "tanh"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace sinter::ops

namespace sinter {
/// The hyperbolic tangent, elementwise; a temporary's elements are reused.
Tensor tanh(Tensor x);
}  // namespace sinter
