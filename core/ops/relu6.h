#pragma once

#include "../op.h"

namespace sinter::ops {

/// min(max(x, 0), 6); NaN stays NaN. Any shape, float32. The gradient passes where 0 < x < 6, as in PyTorch.
struct Relu6 final : Op {
  std::string_view name() const override { return "relu6"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace sinter::ops

namespace sinter {
/// min(max(x, 0), 6), elementwise; a temporary's elements are reused.
Tensor relu6(Tensor x);
}  // namespace sinter
