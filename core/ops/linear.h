#pragma once

#include "../op.h"

namespace sinter {

namespace ops {

/// x weight^T + bias: x [...,I], weight [O,I], optional bias [O], float32; y [...,O].
struct Linear final : Op {
  std::string_view name() const override { return "linear"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

}  // namespace ops

/// See ops::Linear; an undefined bias is none.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace sinter
