#pragma once

#include "../op.h"

namespace sinter::ops {

/// x where x > 0, else weight x (He et al., 1502.01852): x [...,C] and weight [C], or [1] for all channels, float32.
struct Prelu final : Op {
  std::string_view name() const override { return "prelu"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// See ops::Prelu.
Tensor prelu(const Tensor& x, const Tensor& weight);
}  // namespace sinter
