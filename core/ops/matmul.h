#pragma once

#include "../op.h"

namespace sinter {

namespace ops {

/// The product of matrices on the last two axes: a [...,M,K] and b [K,N], or b [...,K,N] with the same leading axes,
/// float32; y [...,M,N].
struct Matmul final : Op {
  std::string_view name() const override { return "matmul"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

}  // namespace ops

/// See ops::Matmul.
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace sinter
