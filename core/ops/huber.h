#pragma once

#include "../op.h"

namespace sinter {

struct HuberAttributes {
  double delta = 1;  ///< above 0
};
SINTER_FIELDS(HuberAttributes, delta)

namespace ops {

/// d^2 / 2 where d = |x - target| is below delta, else delta (d - delta / 2), element by element of two float32 tensors
/// of one shape: what the losses huber_loss and smooth_l1_loss sum up.
struct Huber final : OpWith<HuberAttributes> {
  /// Throws Error unless delta is above 0.
  Huber(const HuberAttributes& attributes = {});
  std::string_view name() const override { return "huber"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Huber.
Tensor huber(const Tensor& x, const Tensor& target, const HuberAttributes& attributes = {});

}  // namespace sinter
