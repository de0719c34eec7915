#pragma once

#include "../op.h"

namespace sinter::ops {

/// x min(max(x + 3, 0), 6) / 6 (Howard et al., 1905.02244). Any shape, float32. The gradient is 0 below -3, 1 from 3
/// on and x / 3 + 1/2 from one to the other, as in PyTorch.
struct Hardswish final : Op {
  std::string_view name() const override { return "hardswish"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace sinter::ops

namespace sinter {
/// x min(max(x + 3, 0), 6) / 6, elementwise.
Tensor hardswish(const Tensor& x);
}  // namespace sinter
