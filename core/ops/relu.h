#pragma once

#include "../op.h"

namespace sinter::ops {

/// max(x, 0); NaN stays NaN. Any shape, float32.
struct Relu final : Op {
  std::string_view name() const override { return "relu"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace sinter::ops

namespace sinter {
/// max(x, 0), elementwise; a temporary's elements are reused.
Tensor relu(Tensor x);
}  // namespace sinter
