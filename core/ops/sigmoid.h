#pragma once

#include "../op.h"

namespace sinter::ops {

/// 1 / (1 + e^-x). Any shape, float32.
struct Sigmoid final : Op {
  std::string_view name() const override { return "sigmoid"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::reuse; }
};

}  // namespace sinter::ops

namespace sinter {
/// 1 / (1 + e^-x), elementwise; a temporary's elements are reused.
Tensor sigmoid(Tensor x);
}  // namespace sinter
