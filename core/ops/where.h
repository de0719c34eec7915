#pragma once

#include "../op.h"

namespace sinter {

namespace ops {

/// a where the condition is not 0 (NaN is not), else b; float32, the shapes broadcast as NumPy's do.
struct Where final : Op {
  std::string_view name() const override { return "where"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Where: `where(lt(x, 0), a, b)`.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, double b);
Tensor where(const Tensor& condition, double a, const Tensor& b);

}  // namespace sinter
