#pragma once

#include "../op.h"

namespace sinter {

struct ReshapeAttributes {
  std::vector<int64_t> shape{};  ///< 0: the input's axis at this place, unchanged; one -1: what is left
};
SINTER_FIELDS(ReshapeAttributes, shape)

namespace ops {

/// The same elements, in row-major order, under another shape: a view. Any type.
struct Reshape final : OpWith<ReshapeAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "reshape"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs, Outputs, Context&) const override {}
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  Aliasing aliasing() const override { return Aliasing::view; }
};

}  // namespace ops

/// `reshape(x, {0, -1})`: 0 is the input's axis at that place and -1 what is left. A model that is to be traced keeps
/// its batch axis as 0 or -1, as any number there is one batch size. Throws Error when the elements do not fit.
Tensor reshape(const Tensor& x, std::vector<int64_t> shape);

}  // namespace sinter
