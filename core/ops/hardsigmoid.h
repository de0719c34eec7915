#pragma once

#include "../op.h"

namespace sinter::ops {

/// min(max(x + 3, 0), 6) / 6. Any shape, float32. The gradient passes where the result is neither 0 nor 1.
struct Hardsigmoid final : Op {
  std::string_view name() const override { return "hardsigmoid"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace sinter::ops

namespace sinter {
/// min(max(x + 3, 0), 6) / 6, elementwise; a temporary's elements are reused.
Tensor hardsigmoid(Tensor x);
}  // namespace sinter
