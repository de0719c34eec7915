#pragma once

#include "../op.h"

namespace sinter {

struct PadAttributes {
  std::vector<int64_t> before{}, after{};  ///< how many values are added, one number an axis; none: 0 on every axis
  double value = 0;
};
SINTER_FIELDS(PadAttributes, before, after, value)

namespace ops {

/// A float32 tensor with a constant around it.
struct Pad final : OpWith<PadAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "pad"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
};

}  // namespace ops

/// See ops::Pad: `pad(x, {.before = {0, 1, 1, 0}, .after = {0, 1, 1, 0}})` is a border of one pixel.
Tensor pad(const Tensor& x, const PadAttributes& attributes);

}  // namespace sinter
