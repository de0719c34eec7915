#pragma once

#include "../op.h"

namespace sinter {

struct FlattenAttributes {
  int64_t start_axis = 1;  ///< the first of the axes that become one; a negative one counts from the last
};
SINTER_FIELDS(FlattenAttributes, start_axis)

namespace ops {

/// The axes from start_axis on as one: [N,H,W,C] to [N,H*W*C] by default, channels fastest (PyTorch has them slowest:
/// weights of a linear layer behind it differ in their order). A view. Any type.
struct Flatten final : OpWith<FlattenAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "flatten"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs, Outputs, Context&) const override {}
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::view; }
};

}  // namespace ops

/// See ops::Flatten.
Tensor flatten(const Tensor& x, int64_t start_axis = 1);

}  // namespace sinter
