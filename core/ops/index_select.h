#pragma once

#include "../op.h"

namespace sinter {

struct IndexSelectAttributes {
  int64_t axis = 0;  ///< negative ones count from the last
};
SINTER_FIELDS(IndexSelectAttributes, axis)

namespace ops {

/// The slices of x along an axis that the second input, int64 [K], counts, each as often as it is there: the axis has
/// the size K then. x of any type. An index outside of 0..size-1 is an Error.
struct IndexSelect final : OpWith<IndexSelectAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "index_select"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::IndexSelect: `index_select(x, index, 1)` takes rows of images. `index` is int64 [K].
Tensor index_select(const Tensor& x, const Tensor& index, int64_t axis = 0);

}  // namespace sinter
