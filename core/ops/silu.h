#pragma once

#include "../op.h"

namespace sinter::ops {

/// x / (1 + e^-x), also called swish. Any shape, float32.
struct Silu final : Op {
  std::string_view name() const override { return "silu"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// x / (1 + e^-x), elementwise.
Tensor silu(const Tensor& x);
}  // namespace sinter
